"""A file of weights mapped into memory, whose pages are released while the engine packs them."""

import mmap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

PAUSE = 0.01  # seconds: the copying of some 10 MB


class Mapped(Protocol):
    """A file that is mapped into memory, by whomever."""

    def madvise(self, option: int, /) -> None:
        """Advise the system about its pages (madvise(2))."""


def map_weights(path: Path) -> mmap.mmap:
    """Map a file. Writable but private: OpenVINO takes no read-only memory."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


@contextmanager
def release_pages(mappings: Sequence[Mapped]) -> Iterator[None]:
    """Give the mappings' pages back to the system every PAUSE seconds, and once more at the end.

    The engine copies each matrix once, into its own layout. Without this, the whole file would count as memory beside
    the copies, at the moment when memory is at its peak. With it, no more than what is copied within one pause does.
    A mapping stays valid: a page that is touched again is read again, from the page cache or the disk.
    """
    done = threading.Event()

    def advise() -> None:
        for mapping in mappings:
            mapping.madvise(mmap.MADV_DONTNEED)

    def release() -> None:
        while not done.wait(PAUSE):
            advise()

    thread = threading.Thread(target=release, name="openclip-release-pages")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        advise()
