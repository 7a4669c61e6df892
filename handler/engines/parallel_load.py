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
    """Return what the three make. A large vocabulary takes as long to read as a tower to load.

    A tower's maker calls what it is given when its long native part comes next. Only then is the tokenizer read:
    started earlier, it would keep a tower from that part until all of it was read.
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
