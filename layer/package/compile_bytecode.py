"""Compile bytecode for the zips: with the target's Python if this machine has it, else with Pyodide, CPython in Node.

An image compiles its own bytecode while it is built.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from layer.errors import PackageError
from layer.package import bytecode, interpreters, pyodide


def compile_for(python: str, trees: Mapping[Path, str], cache: Path) -> str | None:
    """Compile each tree for the target's Python and for the place where Lambda will have it.

    `cache` keeps Pyodide, if it is needed. Returns None; or the reason if nothing on this machine compiles for that
    Python, and then the trees have no bytecode. Raises PackageError if an interpreter cannot write.
    """
    interpreter = interpreters.find(python)
    if interpreter is None:
        return _without_interpreter(python, trees, cache)
    for tree, stands_at in trees.items():
        # -I: settings in the environment (PYTHONPYCACHEPREFIX, PYTHONOPTIMIZE) would change where and what is written.
        command = [interpreter, "-I", str(Path(bytecode.__file__)), str(tree), stands_at]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise PackageError(f"{interpreter} cannot compile {tree}:\n{run.stderr.strip()}")
    return None


def _without_interpreter(python: str, trees: Mapping[Path, str], cache: Path) -> str | None:
    try:
        pyodide.compile_trees(python, trees, cache)
    except pyodide.UnavailableError as error:
        return f"no python{python} on this machine ({interpreters.PLACES} were asked), and {error}"
    return None
