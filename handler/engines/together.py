"""Load two towers and a tokenizer at once: reading a tokenizer holds the interpreter, loading a tower does not."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Tower = TypeVar("Tower")
Tokenizer = TypeVar("Tokenizer")
Begun = Callable[[], None]


def load_together(
    image: Callable[[Begun], Tower], text: Callable[[Begun], Tower], tokenizer: Callable[[], Tokenizer]
) -> tuple[Tower, Tower, Tokenizer]:
    """Return what the three make. A large vocabulary takes as long to read as a tower to load.

    A tower's maker calls what it is given when its long native part comes next. Only then is the tokenizer read: begun
    earlier, it would keep a tower from that part until all of it was read.
    """
    begun = [threading.Event(), threading.Event()]

    def load(make: Callable[[Begun], Tower], event: threading.Event) -> Tower:
        try:
            return make(event.set)
        finally:
            event.set()  # also where it failed before

    with ThreadPoolExecutor(2) as pool:
        towers = [pool.submit(load, make, event) for make, event in zip((image, text), begun, strict=True)]
        for event in begun:
            event.wait()
        made = tokenizer()
        return towers[0].result(), towers[1].result(), made
