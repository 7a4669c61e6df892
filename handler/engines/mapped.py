"""A file of weights mapped into memory, and let go of while it is packed."""

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAUSE = 0.01  # seconds: the copying of some 10 MB


def map_weights(path: Path) -> mmap.mmap:
    """Map a file. Writable but private: OpenVINO takes no read-only memory."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


@contextmanager
def release_pages(mapping: mmap.mmap) -> Iterator[None]:
    """Give the pages back again and again while they are copied from, so that no more than a few count as memory.

    The mapping stays: whoever touches a page again reads it again.
    """
    done = threading.Event()

    def release() -> None:
        while not done.wait(PAUSE):
            mapping.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=release, name="openclip-let-go")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        mapping.madvise(mmap.MADV_DONTNEED)
