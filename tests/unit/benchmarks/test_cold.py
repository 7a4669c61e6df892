"""The page cache is counted as the kernel tells of it, in pages and in chunks of 512 KiB."""

import mmap
import os
from pathlib import Path

import pytest

from benchmarks.page_cache import CHUNK, Touched, touched

PAGE = mmap.PAGESIZE


def forget(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path: Path, start: int, size: int) -> None:
    with path.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # nothing is read ahead
        os.pread(stream.fileno(), size, start)


def test_a_byte_of_a_chunk_costs_all_of_it(tmp_path: Path) -> None:
    large, small = tmp_path / "a", tmp_path / "b"
    large.write_bytes(bytes(4 * CHUNK))
    small.write_bytes(b"x")
    forget(large)
    forget(small)
    if touched([tmp_path]).touched:
        pytest.skip("this file system keeps what it was asked to forget")

    read(large, 10, 1)
    assert touched([tmp_path]) == Touched(PAGE, CHUNK)
    read(large, 2 * CHUNK - PAGE, 2 * PAGE)
    assert touched([tmp_path]) == Touched(3 * PAGE, 3 * CHUNK)
    read(small, 0, 1)
    assert touched([tmp_path]) == Touched(4 * PAGE, 4 * CHUNK), "it lies behind the other, in a chunk of its own"
    assert touched([]) == Touched(0, 0)
