"""Put a file in a second place without copying it, where the disk can."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def link(source: str | Path, target: str | Path) -> None:
    """Put a file that is only read in a second place, by a hard link where the file system has them."""
    try:
        os.link(source, target)
    except OSError:  # another disk, a file system without links, or one that is out of them
        aside = Path(f"{target}.copying")
        shutil.copy2(source, aside)
        aside.replace(target)  # killed in the middle, a copy has no name that is looked for


def point_to(source: Path, target: Path) -> None:
    """Make a symbolic link, which leaves the file itself as it is, and needs it to stay; else copy it."""
    try:
        target.symlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)


def link_own(cache: Path, others: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
    """Return how to put a file in a second place: by `link` where the builder downloaded it, else by `others`.

    A second name would change a prepared source. The file itself decides: a folder of the cache may hold links to files
    of a source.
    """
    own = (cache / "hub").resolve()
    return lambda source, target: (link if source.resolve().is_relative_to(own) else others)(source, target)
