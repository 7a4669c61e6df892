"""Compile a tree's modules for the Python that runs this: `python3 bytecode.py <tree> [<where it will stand>]`.

Lambda's file system is read-only: a module without bytecode would be compiled at every cold start. The bytecode is not
checked against its source and has one fixed time, so that the same tree gives the same bytes. This file runs by itself,
under the target's interpreter or in Pyodide, and imports only the standard library.
"""

import compileall
import os
import py_compile
import sys
from pathlib import Path

MTIME = 315_532_800  # tree.py's


def compile_tree(root: Path, stands_at: str, quiet: bool = True) -> None:
    """Write `__pycache__` for every module below `root`, whose path in the bytecode is `stands_at`.

    A module that this Python cannot parse is left without bytecode. If not `quiet`, a line is printed for each module:
    pyodide_compile.mjs counts them.
    """
    compileall.compile_dir(
        root,
        maxlevels=100,
        stripdir=str(root),
        prependdir=stands_at,
        quiet=2 if quiet else 0,
        workers=1 if sys.platform == "emscripten" else 0,  # WebAssembly has no processes
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    for path in (*root.rglob("*"), root):
        os.utime(path, (MTIME, MTIME))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python3 bytecode.py <tree, a directory> [<where it will stand>]")
    try:
        compile_tree(Path(sys.argv[1]), sys.argv[-1])
    except OSError as error:
        sys.exit(f"error: {error}: look for space and rights there")
