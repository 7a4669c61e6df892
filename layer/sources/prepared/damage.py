"""Find damage in a single file of a source: a link, a pointer or a web page in its place, or only a part of it."""

import errno
import json
import re
import stat
from pathlib import Path

from layer.errors import BuildError
from layer.files.foreign import is_page, is_pointer
from layer.findings.finding import Finding
from layer.sources.hub import WEIGHTS, limit
from layer.weights.checkpoint import open_tensors

_LINK = re.compile(rb"(?:\.\./)+blobs/[0-9a-f/]{40,200}")  # where a system without links wrote its goal instead
MAX_LINK = 300  # bytes
_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def broken(path: Path) -> Finding | None:
    """Return a finding if something else is in the place of a file; None if it is the file, or if nothing is there."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return Finding("unreadable", str(path), "it is not a file")
        if is_pointer(path):
            return Finding("lfs-pointer", str(path))
        if state.st_size == 0:
            return Finding("incomplete-download", str(path), "it is empty")
        if state.st_size <= MAX_LINK and _LINK.fullmatch(goal := path.read_bytes()):
            return Finding("dangling-link", str(path), f"it was copied as a text: {goal.decode()}")
    except OSError as error:
        if error.errno not in _NOTHING:  # as in a directory that may be listed, and not entered
            return Finding("unreadable", str(path), error.strerror or "")
        return Finding("dangling-link", str(path), str(path.readlink())) if path.is_symlink() else None
    return None


def unreadable(path: Path) -> str | None:
    """Say why a file without a known hash is incomplete: weights are checked by their header, texts as JSON."""
    try:
        if path.name.endswith(WEIGHTS):
            open_tensors(path)
        elif path.stat().st_size > limit(path.name):
            return f"it has {path.stat().st_size:,} bytes, and such a file has at most {limit(path.name):,}"
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".txt" and is_page(path.read_text(encoding="utf-8").encode()):
            return "it is a web page"
    except BuildError as error:
        return str(error)
    except (ValueError, RecursionError) as error:
        return f"it cannot be read ({str(error)[:100]})"
    return None
