"""Map files of weights into memory, and release their pages while the engine packs them."""

import mmap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

PAUSE = 0.01  # seconds: the copying of some 10 MB


class Mapped(Protocol):
    """A file mapped into memory, by Python or by a library."""

    def madvise(self, option: int, /) -> None:
        """Advise the system about its pages (madvise(2))."""


def map_weights(path: Path) -> mmap.mmap:
    """Map a file, writable but private: OpenVINO does not accept read-only memory."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


@contextmanager
def release_pages(mappings: Sequence[Mapped]) -> Iterator[None]:
    """Give the mappings' pages back to the system every PAUSE seconds, and once more at the end.

    The engine copies each matrix once, into its own layout. Without this, the pages of the whole file would count as
    memory in addition to the copies. With it, only the pages of the last PAUSE seconds do. A mapping stays valid: a
    released page is read again when it is used.
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
