"""A file of weights mapped into memory, whose pages are released while the engine packs them."""

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
    """Give the mapping's pages back to the system every PAUSE seconds, and once more at the end.

    The engine copies each matrix once, into its own layout. Without this, the whole file would count as memory beside
    the copies, at the moment when memory is at its peak. With it, no more than what is copied within one pause does.
    The mapping stays valid: a page that is touched again is read again, from the page cache or the disk.
    """
    done = threading.Event()

    def release() -> None:
        while not done.wait(PAUSE):
            mapping.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=release, name="openclip-release-pages")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        mapping.madvise(mmap.MADV_DONTNEED)
