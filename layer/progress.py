"""Hashing files with a progress bar: a gigabyte takes seconds, and silence looks like a hang."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

_CHUNK = 1 << 20  # bytes


def file_sha256(path: Path, advance: Callable[[int], object] = lambda _: None) -> str:
    """Return the hex digest of a file, telling `advance` how many bytes were read since the last call."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()


def hash_files(root: Path, paths: Iterable[Path], title: str) -> Iterator[tuple[Path, str]]:
    """Yield each path with its hex digest, under one bar that counts bytes. `paths` are relative to `root`."""
    listed = list(paths)
    total = sum((root / path).stat().st_size for path in listed)
    with tqdm(total=total, desc=title, unit="B", unit_scale=True) as bar:
        for path in listed:
            yield path, file_sha256(root / path, bar.update)
