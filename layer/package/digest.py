"""The digest of a directory tree, which identifies a handler or an image context.

sha256 over one line for each file, sorted by its path as UTF-8: the path relative to the root's parent (so
`handler/app.py`, with `/`), a NUL, the file's own sha256 as 64 hex digits, a newline. Modes and times do not count.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from layer.progress import file_sha256


def tree_sha256(root: Path) -> str:
    """Return the hex digest of the tree at `root`; compiled bytecode is no part of it."""
    digest = hashlib.sha256()
    lines = {path.relative_to(root.parent).as_posix().encode(): path for path in files(root)}
    for name in sorted(lines):
        digest.update(name + b"\0" + file_sha256(lines[name]).encode() + b"\n")
    return digest.hexdigest()


def files(root: Path) -> Iterator[Path]:
    """Yield every file below `root`, without compiled bytecode."""
    for path in root.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
