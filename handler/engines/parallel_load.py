"""Load two towers and a tokenizer at once: reading a tokenizer holds the interpreter, loading a tower does not."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Tower = TypeVar("Tower")
Tokenizer = TypeVar("Tokenizer")
Started = Callable[[], None]


def load_in_parallel(
    image: Callable[[Started], Tower], text: Callable[[Started], Tower], tokenizer: Callable[[], Tokenizer]
) -> tuple[Tower, Tower, Tokenizer]:
    """Load the two towers in threads, and the tokenizer in this one; returns all three.

    Loading a tower is short Python first, then long native code that releases the interpreter lock. Reading a tokenizer
    holds that lock throughout, and takes as long for a large vocabulary. So the tokenizer waits until both towers have
    reached their native part: each calls the callback that it is given just before. The three then overlap.
    """
    started = [threading.Event(), threading.Event()]

    def load(make: Callable[[Started], Tower], event: threading.Event) -> Tower:
        try:
            return make(event.set)
        finally:
            event.set()  # also where it failed before

    with ThreadPoolExecutor(2) as pool:
        towers = [pool.submit(load, make, event) for make, event in zip((image, text), started, strict=True)]
        for event in started:
            event.wait()
        made = tokenizer()
        return towers[0].result(), towers[1].result(), made
