"""Put a file in a second place without copying it, where the disk can."""

import os
import shutil
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
