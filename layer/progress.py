"""Progress on long work: a gigabyte takes seconds to hash and minutes to export, and silence looks like a hang.

On a terminal it is a bar; elsewhere (a log, CI) it is a plain line now and then, without control characters.
"""

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from tqdm import tqdm

from console.counts import counted

_CHUNK = 1 << 20  # bytes
LINE_SECONDS = 15.0  # between two lines of a log
Item = TypeVar("Item")


class Bar(Protocol):
    """Counts progress: `update` gets what was done since the last call. `total` may change."""

    total: int

    def update(self, count: int = 1) -> object:
        """Add to the count."""

    def note(self, text: str) -> None:
        """Show a text beside the numbers."""


class _Drawn:
    """The bar of a terminal."""

    def __init__(self, shown: "tqdm[None]") -> None:
        self._shown = shown

    @property
    def total(self) -> int:
        return int(self._shown.total)

    @total.setter
    def total(self, total: int) -> None:
        self._shown.total = total

    def update(self, count: int = 1) -> None:
        self._shown.update(count)

    def note(self, text: str) -> None:
        self._shown.set_postfix_str(text)


class _Lines:
    """The bar of a log: a line at the beginning, one every 15 seconds, one at the end."""

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.title, self.total, self.unit, self.done, self.noted = title, total, unit, done, ""
        self.started = self.printed = time.monotonic()
        self.say()

    def update(self, count: int = 1) -> None:
        self.done += count
        if self.done < self.total and time.monotonic() - self.printed >= LINE_SECONDS:
            self.printed = time.monotonic()
            self.say()

    def note(self, text: str) -> None:
        self.noted = f", {text}" if text else ""

    def say(self) -> None:
        share = f" ({self.done * 100 // self.total}%)" if self.total else ""
        if self.unit == "B":
            printed = f"{self.done / 1e6:,.1f} MB of {self.total / 1e6:,.1f} MB{share}"
        else:
            printed = f"{self.done:,} of {counted(self.total, self.unit)}{share}"
        print(f"{self.title}: {printed}{self.noted}", file=sys.stderr, flush=True)


@contextmanager
def bar(title: str, total: int, unit: str = "B", done: int = 0) -> Iterator[Bar]:
    """Show how much of `total` is done: bytes where `unit` is "B"."""
    if sys.stderr is not None and sys.stderr.isatty():
        with tqdm(total=total, initial=done, desc=title, unit=unit, unit_scale=unit == "B") as shown:
            yield _Drawn(shown)
        return
    lines = _Lines(title, total, unit, done)
    yield lines
    if lines.done != done:
        lines.say()


def each(
    items: Sequence[Item], title: str, unit: str, noted: Callable[[Item], str] = lambda item: ""
) -> Iterator[Item]:
    """Yield the items under a bar that counts them; `noted` returns the text to show beside it for an item."""
    with bar(title, len(items), unit) as shown:
        for item in items:
            shown.note(noted(item))
            yield item
            shown.update()


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
    with bar(title, total) as shown:
        for path in listed:
            yield path, file_sha256(root / path, shown.update)


class Step(Protocol):
    """Shows the current step. A name that was shown before does not count again."""

    def __call__(self, name: str, detail: str = "") -> None:
        """Show a step; `detail` may differ each time."""


@contextmanager
def steps(title: str, total: int) -> Iterator[Step]:
    """Show which of `total` steps is running, and the time since the first began; the clock goes on within a step."""
    seen: set[str] = set()
    if sys.stderr is None or not sys.stderr.isatty():
        yield _step_lines(title, total, seen)
        return
    layout = "{desc}: step {n_fmt} of {total_fmt} [{elapsed}]{postfix}"
    ended = threading.Event()
    with tqdm(desc=title, total=total, bar_format=layout, leave=False) as shown:

        def tick() -> None:
            while not ended.wait(1):
                shown.refresh()

        def step(name: str, detail: str = "") -> None:
            seen.add(name)
            shown.set_postfix_str(_told(name, detail), refresh=False)
            shown.update(len(seen) - shown.n)
            shown.refresh()

        threading.Thread(target=tick, daemon=True).start()
        try:
            yield step
        finally:
            ended.set()


def _step_lines(title: str, total: int, seen: set[str]) -> Step:
    def step(name: str, detail: str = "") -> None:
        seen.add(name)
        print(f"{title}: step {len(seen)} of {total}, {_told(name, detail)}", file=sys.stderr, flush=True)

    return step


def _told(name: str, detail: str) -> str:
    return f"{name}: {detail}" if detail else name
