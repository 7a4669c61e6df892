"""A file that one process writes at a time. The system gives its lock back however the process ends."""

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO

from openclip_lambda.bulk.terminal import say

TURNS = 100  # far more than other runs make and remove the file between two looks at it
TAKEN = (errno.EAGAIN, errno.EACCES)  # by another process; EACCES is what Windows says

if sys.platform == "win32":
    import msvcrt

    FAR = 2**31 - 2  # a byte that nobody reads: Windows keeps others from those that are locked

    def _lock(number: int) -> None:
        os.lseek(number, FAR, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


class TakenError(Exception):
    """Another process writes the file now."""


def claimed(path: Path) -> tuple[BinaryIO, bool]:
    """Open a file for this process alone, and make it where it is not there; returns whether it was there, too.

    Raises TakenError, and OSError where it cannot be written. A file system without locks is told of.
    """
    for turn in range(TURNS):
        there = os.path.lexists(path)
        try:
            file = path.open("r+b" if there else "x+b", buffering=0)
        except (FileNotFoundError, FileExistsError):
            if turn == TURNS - 1:
                raise
            continue  # another run removed it or made it between the two
        try:
            _take(file, path)
            if _is_at(file, path):
                return file, there
        except BaseException:
            file.close()
            raise
        file.close()  # its run has ended, and has removed it, since it was opened
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
