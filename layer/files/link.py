"""Give a file a second name without copying it, if the file system can."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def link(source: str | Path, target: str | Path) -> None:
    """Give a file that is only read a second name, by a hard link; copy it if the file system has no links."""
    try:
        os.link(source, target)
    except OSError:  # another disk, a file system without links, or one that is out of them
        aside = Path(f"{target}.copying")
        shutil.copy2(source, aside)
        aside.replace(target)  # killed in the middle, a copy has no name that is looked for


def point_to(source: Path, target: Path) -> None:
    """Make a symbolic link to a file that must stay where it is; copy the file if that is not possible."""
    try:
        target.symlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)


def link_own(cache: Path, others: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
    """Return a function that calls `link` for files that the builder downloaded, and `others` for all other files.

    A hard link would change a prepared source. The file is resolved first: a folder of the cache may hold links to
    files of a source.
    """
    own = (cache / "hub").resolve()
    return lambda source, target: (link if source.resolve().is_relative_to(own) else others)(source, target)
