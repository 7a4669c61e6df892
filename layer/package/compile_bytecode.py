"""Bytecode for the zips, where this machine has the target's Python; an image compiles for itself while it is built."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from layer.errors import PackageError
from layer.package import bytecode


def compile_for(python: str, trees: Mapping[Path, str]) -> bool:
    """Compile each tree for the target's Python and for the place where Lambda will have it.

    Returns False, and does nothing, where there is no such interpreter here.
    """
    interpreter = _interpreter(python)
    if interpreter is None:
        return False
    for tree, stands_at in trees.items():
        command = [interpreter, str(Path(bytecode.__file__)), str(tree), stands_at]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise PackageError(f"{interpreter} cannot compile {tree}:\n{run.stderr.strip()}")
    return True


def _interpreter(python: str) -> str | None:
    """Find this Python here: the one that runs, or one on the PATH that says it is the one that its name says."""
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{python}")
    if found is None:
        return None
    run = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    return found if run.stdout.startswith(f"Python {python}.") else None
