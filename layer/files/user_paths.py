"""Read paths that people write into a file or an option."""

import os
from pathlib import Path


def path_in(file: Path, text: str) -> Path:
    """Return the path `text` that `file` names: relative to that file, with `~` as the user's home."""
    return file.parent / at_home(text)


def at_home(text: str) -> str:
    """Replace `~` at the beginning of a path by the user's home."""
    return os.path.expanduser(text)  # noqa: PTH111 - Path's raises where there is no such user
