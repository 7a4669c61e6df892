"""Compile with Pyodide: CPython itself, built for WebAssembly and run by Node.js, which the CDK CLI needs anyway.

Bytecode depends on CPython's minor version and not on the processor. `pyodide_pins/<Python>` pins the npm package of
each by its hash. It is installed at the first need, and kept in the cache.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from layer.package import bytecode, interpreters
from layer.package.digest import tree_sha256
from layer.package.install_cache import installing, is_complete
from layer.progress import bar

PINS = Path(__file__).with_name("pyodide_pins")
SCRIPT = Path(__file__).with_name("pyodide_compile.mjs")
# A registry that cannot be reached is known soon; what npm has in its own cache is not asked for again.
FLAGS = ("ignore-scripts", "no-audit", "no-fund", "loglevel=error", "prefer-offline", "fetch-retries=1")
INSTALL_SECONDS = 300


class UnavailableError(Exception):
    """Pyodide cannot compile here; the message says why, as the end of a sentence, and what would help."""


def compile_trees(python: str, trees: Mapping[Path, str], cache: Path) -> None:
    """Compile each tree for `python` and for the place where Lambda will have it, and show how far it is.

    Raises UnavailableError, and then leaves no bytecode.
    """
    node, home = _installed(python, cache)
    run(node, home, python, trees)


def run(node: str, home: Path, python: str, trees: Mapping[Path, str]) -> None:
    """Compile each tree with the Pyodide at `home`. Raises UnavailableError, and then leaves no bytecode."""
    modules = sum(1 for tree in trees for _ in tree.rglob("*.py"))
    places = [part for tree, stands_at in trees.items() for part in (str(tree.resolve()), stands_at)]
    command = [node, str(SCRIPT), str(home), bytecode.__file__, interpreters.MAGIC[python].hex(), *places]
    with tempfile.TemporaryFile() as errors, bar(f"compiling for Python {python}", modules, "module") as shown:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, bufsize=0
        ) as process:
            while process.stdout and (dots := process.stdout.read(1024)):  # one for each module
                shown.update(len(dots))
        if process.returncode == 0:
            return
        reason = _last_line(errors)
    for tree in trees:
        for compiled in [*tree.rglob("__pycache__")]:
            shutil.rmtree(compiled)
    raise UnavailableError(f"Pyodide failed in {node} ({reason}): a newer Node.js may help")


def _installed(python: str, cache: Path) -> tuple[str, Path]:
    """Return Node.js and the directory of Pyodide's package: the one in the cache if it is complete, else a new one."""
    pins = PINS / python
    if not pins.is_dir():
        raise UnavailableError(f"Pyodide has no release of Python {python}")
    node, npm = programs()
    place = cache / "pyodide" / f"{python}-{tree_sha256(pins)[:12]}"
    if not is_complete(place, "node_modules"):
        print(
            f"no python{python} on this machine: installing Pyodide, which is that Python for Node.js, to compile with "
            "it (13 MB, once) ...",
            file=sys.stderr,
        )
        with installing(place, "node_modules", python) as made:
            shutil.copytree(pins, made, dirs_exist_ok=True)
            install(npm, made)
    return node, place.resolve() / "node_modules" / "pyodide"


def programs() -> tuple[str, str]:
    """Return Node.js and npm. Raises UnavailableError."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise UnavailableError("there is no Node.js with npm either, which could run Pyodide, CPython as WebAssembly")
    return node, npm


def install(npm: str, folder: Path, command: str = "ci", *flags: str) -> None:
    """Have npm install what the lock file in `folder` pins; npm compares the hashes. Raises UnavailableError."""
    try:
        run = subprocess.run(
            [npm, command, *(f"--{flag}" for flag in (*FLAGS, *flags))],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"npm did not install Pyodide in {INSTALL_SECONDS} s: see to its registry") from error
    if run.returncode != 0:
        said = re.findall(r"^npm (?:error|ERR!) (.+)$", run.stderr, re.MULTILINE) or ["it does not say why"]
        told = next((line for line in said if "failed" in line), said[0])
        another = "checksum failed" in told
        advice = (
            "its registry has another package than the recorded one" if another else "see that npm reaches its registry"
        )
        raise UnavailableError(f"npm cannot install Pyodide ({told.strip()[:300]}): {advice}")


def _last_line(stream: IO[bytes]) -> str:
    stream.seek(0)
    lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else "it does not say why"
