"""Errors of disks: which one is full, or may not be written, and the fix. In whatever words a library says it."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layer.errors import BuildError, StorageError

_ADVICE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "it may not be written or read by this user",
    errno.EPERM: "it may not be changed by this user",
    errno.EFBIG: "the file is larger than the file system, or `ulimit -f`, allows",
    errno.EIO: "the disk has an error",
    errno.EMFILE: "too many files are open: raise `ulimit -n`",
    errno.EBUSY: "it is in use, or a mount of its own: name a directory below it",
    errno.EXDEV: "it lies on two disks",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EEXIST: "there is a file where a directory has to be",
    errno.ELOOP: "its links lead in a circle",
}
# What a message in another library's words is taken for. Rights are left out: a message may be about anything else.
_SAID = re.compile(
    "|".join(re.escape(os.strerror(code)) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO))
)
FULL = 1 << 20  # bytes: with less than this free, a failure to write is put down to the disk


def problem(error: OSError) -> str:
    """Say what an OSError means: the path that it names, and why."""
    path = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return path + _ADVICE.get(error.errno or 0, error.strerror or str(error) or type(error).__name__)


def said(text: str, folder: Path) -> str | None:
    """Say what a failed process or library met on the disk, from its own words; None where it was something else."""
    if found := _SAID.findall(text):
        return f"{found[-1]}, {space(folder)}"
    return f"the disk is full, {space(folder)}" if free(folder) < FULL else None


def free(folder: Path) -> int:
    """Return the bytes that are free where `folder` is, or will be."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
    return shutil.disk_usage(there).free


def space(folder: Path) -> str:
    """Say how much is free where a folder is."""
    return f"{free(folder) / 1e6:,.0f} MB are free in {folder}"


@contextmanager
def explained(doing: str, *folders: Path) -> Iterator[None]:
    """Turn what goes wrong on a disk into StorageError, which names the folders that the command writes to."""
    try:
        yield
    except BuildError:
        raise
    except OSError as error:
        if error.errno is None and said(str(error), folders[0]) is None:
            raise
        raise StorageError(_message(doing, problem(error), folders)) from error
    except Exception as error:
        for folder in folders:
            if reason := said(str(error), folder):
                raise StorageError(_message(doing, reason, folders)) from error
        raise


def _message(doing: str, reason: str, folders: tuple[Path, ...]) -> str:
    places = "; ".join(dict.fromkeys(space(folder) for folder in folders))
    return f"{doing} stopped at the disk: {reason} ({places}). Make room or give rights, or name other directories"
