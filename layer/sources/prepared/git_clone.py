"""Read a git clone: the commit that is checked out, and the hashes in its index."""

import re
from collections.abc import Iterator
from pathlib import Path

from layer.naming.validate import is_commit
from layer.sources.expected import Expected

MAX_INDEX = 32 << 20  # bytes
_FIXED = 62  # bytes of an entry before its name, in versions 2 and 3


def commit(folder: Path) -> str | None:
    """Return the commit of HEAD; None if it cannot be read."""
    git = folder / ".git"
    head = _text(git / "HEAD")
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        if ".." in name.split("/") or name.startswith("/"):
            return None
        packed = re.search(rf"(?m)^([0-9a-f]{{40}}) {re.escape(name)}$", _text(git / "packed-refs"))
        head = _text(git / name) or (packed[1] if packed else "")
    return head if is_commit(head) else None


def is_at(folder: Path, name: str) -> bool | None:
    """Tell whether a branch or a tag is checked out; None if the clone's references do not show it."""
    git, at = folder / ".git", commit(folder)
    if at is None or ".." in name.split("/"):
        return None
    packed = _text(git / "packed-refs")
    told = {_text(git / "refs" / kind / name) for kind in ("heads", "remotes/origin")}
    # A tag with a message is an object of its own; the line below it has its commit, where all of these are told.
    for kind in ("heads", "remotes/origin", *(("tags",) if "fully-peeled" in packed[:100] else ())):
        found = re.search(rf"(?m)^([0-9a-f]{{40}}) refs/{kind}/{re.escape(name)}$(?:\n\^([0-9a-f]{{40}})$)?", packed)
        told.add((found[2] or found[1]) if found else "")
    if at in told or at == _text(git / "refs" / "tags" / name):
        return True
    return False if told - {""} else None


def files(folder: Path) -> dict[str, Expected]:
    """Return git's ids of the files at the top; of a file in LFS the index has only the id of its pointer."""
    try:
        path = folder / ".git" / "index"
        data = path.read_bytes() if path.stat().st_size <= MAX_INDEX else b""
        return {name: Expected(None, None, blob) for name, blob in _entries(data) if "/" not in name}
    except (OSError, ValueError, IndexError):
        return {}


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    """Read git's index, versions 2 and 3 (gitformat-index). Version 4, which compresses names, is not supported."""
    if data[:4] != b"DIRC" or int.from_bytes(data[4:8]) not in (2, 3):
        return
    at = 12
    for _ in range(int.from_bytes(data[8:12])):
        flags = int.from_bytes(data[at + 60 : at + 62])
        start = at + _FIXED + (2 if flags & 0x4000 else 0)
        end = data.index(b"\0", start)
        yield data[start:end].decode("utf-8", "surrogateescape"), data[at + 40 : at + 60].hex()
        at += (end - at) // 8 * 8 + 8  # padded with 1 to 8 zeros


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")[: 1 << 20].strip()
    except (OSError, ValueError):
        return ""
