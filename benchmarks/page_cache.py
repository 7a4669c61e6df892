"""The page cache: forget what it holds, and count what a start touched, in bytes and in chunks as Lambda fetches them.

Lambda loads an image lazily, in chunks of 512 KiB: https://arxiv.org/abs/2305.13162. A byte of a chunk costs all of it.
"""

import ctypes
import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK = 512 * 1024


def drop() -> bool:
    """Empty the page cache, as on a machine that never ran the function. Only root may; returns False otherwise."""
    if os.geteuid() != 0:
        return False
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    return True


@dataclass(frozen=True)
class Touched:
    """Bytes of pages, and the bytes of the chunks that these pages are in."""

    touched: int
    fetched: int


def touched(roots: Iterable[Path]) -> Touched:
    """Count the pages of all files below `roots` that are in the page cache, and their chunks.

    The files are taken to lie one behind the other, in the order of their names, each at the start of a page: as an
    image's layers are laid out. Drop the page cache before a start, and ask afterwards.
    """
    pages = set(_resident(roots))
    chunks = {page * mmap.PAGESIZE // CHUNK for page in pages}
    return Touched(len(pages) * mmap.PAGESIZE, len(chunks) * CHUNK)


def _resident(roots: Iterable[Path]) -> Iterator[int]:
    first = 0
    for root in roots:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            size = path.stat().st_size
            if size:
                yield from (first + place for place in _pages(path))
            first += -(-size // mmap.PAGESIZE)


def _pages(path: Path) -> list[int]:
    """Return the numbers of a file's pages that are in the page cache. Asking does not read any page."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        held = (ctypes.c_ubyte * -(-len(mapped) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(mapped)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapped)), held)
        del start  # or the mapping could not be closed
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return [place for place, there in enumerate(held) if there & 1]
