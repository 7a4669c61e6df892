"""Requests that go on while something else happens, and the outcome of each."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.deployment import Reply

# Of the gateway, where a function gave it nothing. The emulator was seen to do so for one request of 93, while the
# machine was busy with containers. Clients ask again, as ours does; a second one in a row is a failure.
BAD_GATEWAY = 502


@contextmanager
def under_way(ask: Callable[[], Reply], clients: int = 2) -> Iterator[list[Reply]]:
    """Ask again and again from some threads, until the block ends. Yields the replies as they come."""
    replies: list[Reply] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            reply = ask()
            if reply.status == BAD_GATEWAY:  # no response of the handler's, which has none of this status
                print("asked again after", reply)
                reply = ask()
            replies.append(reply)  # appending is atomic; an exception ends the thread, and pytest fails the test for it
            time.sleep(0.05)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield replies
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)
