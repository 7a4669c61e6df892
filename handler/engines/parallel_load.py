"""Load towers and a tokenizer at once: reading a tokenizer holds the interpreter, loading a tower does not."""

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
    """Load the towers in threads, and the tokenizer, where one is wanted, in this one; returns all in the order given.

    Loading a tower is short Python first, then long native code that releases the interpreter lock. Reading a tokenizer
    holds that lock throughout, and takes as long for a large vocabulary. So the tokenizer waits until the towers have
    reached their native part: each calls the callback that it is given just before. They then overlap.
    """
    started = [threading.Event() for _ in towers]

    def load(make: Callable[[Started], Tower], event: threading.Event) -> Tower:
        try:
            return make(event.set)
        finally:
            event.set()  # also where it failed before

    with ThreadPoolExecutor(max(len(towers), 1)) as pool:
        loading = [pool.submit(load, make, event) for make, event in zip(towers, started, strict=True)]
        for event in started:
            event.wait()
        made = tokenizer() if tokenizer else None
        return [tower.result() for tower in loading], made
