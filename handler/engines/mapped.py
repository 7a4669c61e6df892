"""A file of weights mapped into memory: read ahead while other things happen, and let go of once it has been packed."""

import mmap
from pathlib import Path

CHUNK = 128 * 1024  # bytes, Linux's usual read-ahead: of a longer stretch the kernel reads that much and no more


def map_ahead(path: Path) -> mmap.mmap:
    """Map a file and ask the kernel for all of it. Writable but private: OpenVINO takes no read-only memory."""
    with path.open("rb") as stream:
        mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    for start in range(0, len(mapping), CHUNK):
        mapping.madvise(mmap.MADV_WILLNEED, start, min(CHUNK, len(mapping) - start))
    return mapping


def let_go(mapping: mmap.mmap) -> None:
    """Give the pages back. The mapping stays: whoever touches it again reads it again."""
    mapping.madvise(mmap.MADV_DONTNEED)
