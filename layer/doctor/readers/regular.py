"""Open a file of the disk: a regular one only, never waiting for a pipe, never following a device."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from layer.doctor.limits import UnreadableError
from layer.doctor.readers.tree import special


def open_regular(path: str | Path, where: str) -> BinaryIO:
    """Open a regular file for reading. Raises UnreadableError for anything else, and for what may not be read."""
    try:
        # Without O_NONBLOCK, to open a named pipe waits until somebody writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
    except (OSError, ValueError) as error:
        raise UnreadableError(where, getattr(error, "strerror", None) or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UnreadableError(where, f"it is {special(status.st_mode) or 'a directory'}, not a file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | Path, where: str, limit: int) -> bytes:
    """Read at most one byte more than `limit`. Raises UnreadableError."""
    with open_regular(path, where) as stream:
        try:
            return stream.read(limit + 1)
        except OSError as error:
            raise UnreadableError(where, error.strerror or str(error)) from error
