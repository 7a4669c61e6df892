"""Load towers and a tokenizer in parallel: reading a tokenizer holds the interpreter lock, loading a tower does not."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Tower = TypeVar("Tower")
Tokenizer = TypeVar("Tokenizer")
Started = Callable[[], None]


def load_in_parallel(
    towers: Sequence[Callable[[Started], Tower]], tokenizer: Callable[[], Tokenizer] | None
) -> tuple[list[Tower], Tokenizer | None]:
    """Load the towers in threads, and the tokenizer, if there is one, in this thread; returns the towers in order.

    Loading a tower begins with a little Python; the rest is native code, which releases the interpreter lock. Reading
    a large tokenizer takes as long, and holds the lock all the time. So it begins when every tower has called its
    `started` callback, just before its native code: then both run at the same time.
    """
    started = [threading.Event() for _ in towers]

    def load(make: Callable[[Started], Tower], event: threading.Event) -> Tower:
        try:
            return make(event.set)
        finally:
            event.set()  # also if it failed before its callback

    with ThreadPoolExecutor(max(len(towers), 1)) as pool:
        loading = [pool.submit(load, make, event) for make, event in zip(towers, started, strict=True)]
        for event in started:
            event.wait()
        made = tokenizer() if tokenizer else None
        return [tower.result() for tower in loading], made
