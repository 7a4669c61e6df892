"""Replace a directory by a finished one. At every moment the old one or the new one is there."""

import ctypes
import os
import re
import shutil
import sys
from pathlib import Path

from layer.errors import StorageError
from layer.files import overlap

OF_SYSTEM = frozenset({".DS_Store"})  # what macOS's Finder puts into each folder that is looked at
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SCRATCH = "[a-z0-9_]{8}"  # as tempfile names a directory


def place(output: Path) -> Path:
    """Return the real path that `output` names: the target of a link, and the full path for `.` and `..`."""
    return Path(os.path.realpath(output)) if output.is_symlink() or output.name in ("", "..") else output


def swap(staged: Path, target: Path) -> None:
    """Move `staged` to `target`. A directory that was there is at `staged` afterwards, or removed.

    Where the system cannot exchange two directories at once, `recover` repairs a kill between the two renames.
    """
    if not target.exists():
        staged.rename(target)
    elif not _exchange(staged, target):
        target.rename(_old(target))
        staged.rename(target)
        recover(target)


def recover(target: Path) -> None:
    """Put the previous directory back if a build was killed between the two renames of `swap`."""
    old = _old(target)
    if old.exists() and not target.exists():
        old.rename(target)
    elif old.exists():
        shutil.rmtree(old)


def sweep(folder: Path, prefix: str) -> None:
    """Remove the scratch directories `<prefix>xxxxxxxx` that a killed process left in `folder`; hold its lock first."""
    for path in folder.glob(f"{prefix}*"):
        if re.fullmatch(re.escape(prefix) + _SCRATCH, path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def check_replaceable(target: Path, contents: frozenset[str], marker: str, what: str = "a bundle") -> None:
    """Raise StorageError if `target` has files that this command did not write."""
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir():
        raise StorageError(f"{target} is a file: name a directory by --output, or remove it")
    _check_movable(target)
    there = {path.name for path in target.iterdir()} - OF_SYSTEM
    if there and (marker not in there or there - contents):
        other = sorted(there - contents) or [f"no {marker}"]
        raise StorageError(f"{target} is not {what}, it has {other[0]}, and would be replaced: name another --output")


def _check_movable(target: Path) -> None:
    """Raise StorageError for a directory that cannot be replaced."""
    inside = f"name one inside of it, as in --output {target / 'bundle'}"
    if overlap.relation(target, Path.cwd()) in overlap.REPLACED:
        raise StorageError(
            f"{target} is the working directory, or above it, and would be replaced: change to another one, or {inside}"
        )
    if os.path.ismount(target):
        raise StorageError(f"{target} is where a disk or a volume is mounted, and cannot be replaced: {inside}")


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two directories in one step, by Linux's renameat2; False where system or file system has no such."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return bool(rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0)
