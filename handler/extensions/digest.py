"""The digest of code of your own, as in package.json; layer/package/digest.py describes its definition."""

import os
from collections.abc import Iterator
from hashlib import sha256


def tree_sha256(root: str, name: str) -> str:
    """Return the digest of the tree at `root`, called `name` there; compiled bytecode is no part of it."""
    lines = {f"{name}/{inside}".encode(): path for inside, path in _files(root, "")}
    digest = sha256()
    for line in sorted(lines):
        with open(lines[line], "rb") as stream:  # noqa: PTH123 - pathlib is 5 ms of a cold start
            digest.update(line + b"\0" + sha256(stream.read()).hexdigest().encode() + b"\n")
    return digest.hexdigest()


def _files(folder: str, inside: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == "__pycache__" or entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{inside}{entry.name}/")
            elif entry.is_file():
                yield inside + entry.name, entry.path
