"""Paths that a file or an option names, as people write them."""

import os
from pathlib import Path


def beside(file: Path, text: str) -> Path:
    """Return a path that a file names: relative to that file; `~` is the user's home, which no shell has put in."""
    return file.parent / at_home(text)


def at_home(text: str) -> str:
    """Return a path with the user's home for a `~` at its beginning."""
    return os.path.expanduser(text)  # noqa: PTH111 - Path's raises where there is no such user
