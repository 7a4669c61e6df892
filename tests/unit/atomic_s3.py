"""What S3 does at once and the emulator in two steps: it looks whether an object is there, and puts it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.s3.responses import S3Response


@contextmanager
def atomic_puts() -> Iterator[None]:
    """Let the emulated S3 take one PutObject after the other: of two with `If-None-Match: *` one wins, as in S3."""
    put, one = S3Response.put_object, threading.RLock()

    def in_turn(self: Any) -> Any:
        with one:
            return put(self)

    S3Response.put_object = in_turn  # type: ignore[method-assign]
    try:
        yield
    finally:
        S3Response.put_object = put  # type: ignore[method-assign]
