"""Explain errors of disks: which one is full or read-only, and the fix. Libraries report them in their own words."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.os_errors import PLACE, explain
from layer.errors import BuildError, StorageError

# Words of a library's message that mean the disk. Permissions are left out: such a message may be about anything.
_DISK_MESSAGES = re.compile(
    "|".join(re.escape(os.strerror(code)) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO))
)
FULL = 1 << 20  # bytes: with less than this free, a failure to write is put down to the disk


def disk_reason(text: str, folder: Path) -> str | None:
    """Find a fault of the disk in the message of a failed process or library; None if it was something else."""
    if found := _DISK_MESSAGES.findall(text):
        return f"{found[-1]}, {space(folder)}"
    return f"the disk is full, {space(folder)}" if free(folder) < FULL else None


def free(folder: Path) -> int:
    """Return the free bytes of the disk that `folder` is on, or will be."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
    return shutil.disk_usage(there).free


def space(folder: Path) -> str:
    """Say how much is free on the disk of a folder."""
    return f"{free(folder) / 1e6:,.0f} MB are free in {folder}"


@contextmanager
def explained(doing: str, *folders: Path) -> Iterator[None]:
    """Turn errors of the disk into StorageError, which names the folders that the command writes to."""
    try:
        yield
    except BuildError:
        raise
    except OSError as error:
        told = error.errno is not None or isinstance(error, shutil.Error)
        if not told and disk_reason(str(error), folders[0]) is None:
            raise
        allowed = error.errno not in (errno.EACCES, errno.EPERM)  # or what is free there has nothing to do with it
        raise StorageError(explain(error) + (f" ({_spaces(folders)})" if allowed else "")) from error
    except Exception as error:
        for folder in folders:
            if reason := disk_reason(str(error), folder):
                raise StorageError(f"{doing} stopped at the disk: {reason}. Make room there, {PLACE}") from error
        raise


def _spaces(folders: tuple[Path, ...]) -> str:
    return "; ".join(dict.fromkeys(space(folder) for folder in folders))
