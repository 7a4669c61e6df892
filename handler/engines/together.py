"""Load two towers and a tokenizer at once: reading a tokenizer holds the interpreter, loading a tower does not."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Tower = TypeVar("Tower")
Tokenizer = TypeVar("Tokenizer")


def load_together(
    image: Callable[[], Tower], text: Callable[[], Tower], tokenizer: Callable[[], Tokenizer]
) -> tuple[Tower, Tower, Tokenizer]:
    """Return what the three make. A large vocabulary takes as long to read as a tower to load."""
    begun = threading.Semaphore(0)

    def load(make: Callable[[], Tower]) -> Tower:
        begun.release()  # and on into native code, long before the interpreter takes turns
        return make()

    with ThreadPoolExecutor(2) as pool:
        towers = [pool.submit(load, make) for make in (image, text)]
        for _ in towers:
            begun.acquire()  # else the tokenizer could be first, and both would wait for all of it
        made = tokenizer()
        return towers[0].result(), towers[1].result(), made
