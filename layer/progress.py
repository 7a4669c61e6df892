"""Progress on long work: a gigabyte takes seconds to hash and minutes to export, and silence looks like a hang."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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


@contextmanager
def steps(title: str) -> Iterator[Callable[[str], None]]:
    """Show which step is under way, how many came before it, and how long all took. How many follow is not known."""
    with tqdm(desc=title, unit="step", bar_format="{desc}: step {n_fmt} [{elapsed}]{postfix}", leave=False) as bar:

        def step(name: str) -> None:
            bar.set_postfix_str(name, refresh=False)
            bar.update()
            bar.refresh()

        yield step
