"""Requests that go on while something else happens, and the outcome of each."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.deployment import Reply
from tests.patience import SECONDS

BAD_GATEWAY = 502


def asked_again(ask: Callable[[], Reply]) -> Reply:
    """Ask, and once more where the gateway itself answered that a function gave it nothing.

    The emulator was seen to do so for one request of 93, while the machine was busy with containers; and where it waits
    ten seconds for an authorizer that has to start. Clients ask again, as ours does; a second one is a failure.
    """
    reply = ask()
    of_handler = b'"error"' in reply.body
    if reply.status in (500, BAD_GATEWAY) and not of_handler:
        print("asked again after", reply)
        reply = ask()
    return reply


@contextmanager
def under_way(ask: Callable[[], Reply], clients: int = 2) -> Iterator[list[Reply]]:
    """Ask again and again from some threads, until the block ends. Yields the replies as they come, after the first.

    There is one more in the end, which was asked for when all that the block did was done.
    """
    replies: list[Reply] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            # Appending is atomic; an exception ends the thread, and pytest fails the test for it.
            replies.append(asked_again(ask))
            time.sleep(0.05)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        while not replies and any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
        yield replies
    finally:
        stop.set()
        for thread in threads:
            thread.join(SECONDS)
    replies.append(asked_again(ask))
