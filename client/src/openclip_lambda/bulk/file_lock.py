"""Open a file that only one process may write at a time. The system releases the lock however the process ends."""

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

from openclip_lambda.bulk.terminal import say

TURNS = 100  # tries: other runs do not create and remove the file that often while this one opens it
TAKEN = (errno.EAGAIN, errno.EACCES)  # by another process; EACCES is what Windows says

if sys.platform == "win32":
    import msvcrt

    FAR = 2**31 - 2  # a byte that nobody reads: on Windows, other processes cannot read the bytes that are locked

    def _lock(number: int) -> None:
        os.lseek(number, FAR, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


class TakenError(Exception):
    """Another process writes the file now."""


def open_locked(path: Path) -> tuple[BinaryIO, bool]:
    """Open a file and lock it, and create it if it does not exist. Return the file, and whether it existed before.

    Raises TakenError if another process holds the lock, and OSError if the file cannot be written. On a file system
    without locks, a note on standard error says so, and the file is opened without a lock.
    """
    for turn in range(TURNS):
        there = os.path.lexists(path)
        try:
            file = path.open("r+b" if there else "x+b", buffering=0)
        except (FileNotFoundError, FileExistsError):
            if turn == TURNS - 1:
                raise
            continue  # another run removed or created it since `lexists`
        try:
            _take(file, path)
            if _is_at(file, path):
                return file, there
        except BaseException:
            file.close()
            raise
        file.close()  # the run that held it has ended and removed it, after this process opened it
    raise TakenError


def _take(file: BinaryIO, path: Path) -> None:
    try:
        _lock(file.fileno())
    except OSError as error:
        if error.errno in TAKEN:
            raise TakenError from error
        say(f"note: {path.parent} has no locks ({error.strerror}): let no other run write there meanwhile")


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        found, ours = path.stat(), os.fstat(file.fileno())
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
