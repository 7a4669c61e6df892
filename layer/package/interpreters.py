"""Find an interpreter of the target's Python on this machine, whose bytecode is what Lambda's interpreter reads."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from layer.files.user_paths import at_home

# What bytecode begins with: CPython has one number for each minor version from its first final release on
# (Include/internal/pycore_magic_number.h). An alpha has another one, and its bytecode is not read.
NUMBERS = {"3.11": 3495, "3.12": 3531, "3.13": 3571, "3.14": 3627}
MAGIC = {python: number.to_bytes(2, "little") + b"\r\n" for python, number in NUMBERS.items()}
PLACES = "PATH, pyenv and uv"  # where `find` looks, for messages
SECONDS = 20  # an interpreter that takes longer to start is none
PROBE = "import importlib.util, sys; sys.stdout.write(importlib.util.MAGIC_NUMBER.hex())"


def find(python: str) -> str | None:
    """Return an interpreter that writes the bytecode of `python` ("3.13"), or None; nothing is installed for it."""
    magic = MAGIC.get(python)
    if magic == importlib.util.MAGIC_NUMBER:
        return sys.executable
    for candidate in dict.fromkeys(_candidates(python)):
        if magic is not None and _output(candidate, "-I", "-S", "-c", PROBE) == magic.hex():
            return candidate
    return None


def _candidates(python: str) -> Iterator[str]:
    name = f"python{python}"
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # The first one may be pyenv's shim, which refuses where its version is not switched on.
        if found := shutil.which(name, path=folder):
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or at_home("~/.pyenv"))
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{python}.*/bin/{name}"), reverse=True))
    if (uv := shutil.which("uv")) and (found := _output(uv, "python", "find", "--no-python-downloads", python)):
        yield found


def _output(*command: str) -> str | None:
    """Return what a command prints, None where it fails or does not end."""
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return run.stdout.strip() if run.returncode == 0 else None
