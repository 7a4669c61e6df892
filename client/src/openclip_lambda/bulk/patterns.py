"""Patterns where the shell does not expand them. `**` follows no links to directories, which may lead in circles."""

import contextlib
import glob
import os
import re
from collections.abc import Iterator

SEPARATOR = r"[/\\]" if os.sep == "\\" else "/"
ANY_DEPTH = re.compile(rf"(?:^|(?<={SEPARATOR}))\*\*(?:{SEPARATOR}+|$)")


def matches(pattern: str) -> list[str]:
    """Return the names that match, sorted, each once.

    `**` stands for a directory and all below it, without hidden ones: as the standard library has it, except that it
    follows each link, so that a link to a directory above it multiplies the names, and two never end.
    """
    return sorted(set(_matches(pattern)))


def _matches(pattern: str) -> Iterator[str]:
    parts = ANY_DEPTH.split(pattern, maxsplit=1)
    if len(parts) == 1:
        yield from glob.iglob(pattern)  # noqa: PTH207
        return
    before, after = parts
    if not after and pattern.endswith("**"):
        after = "*"
    for top in glob.iglob(before) if glob.has_magic(before) else [before]:  # noqa: PTH207
        for directory in _directories(top):
            yield from _matches(glob.escape(directory) + after)


def _directories(top: str) -> Iterator[str]:
    """Yield a directory and those below it, as beginnings of names: `photos/`, or nothing for the working directory."""
    left = [top]
    while left:
        yield (directory := left.pop())
        with contextlib.suppress(OSError), os.scandir(directory or ".") as entries:  # as a shell, which shows the rest
            left += [
                os.path.join(directory, entry.name, "")  # noqa: PTH118 - paths are many: they stay strings
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
