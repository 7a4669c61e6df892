"""The execution environment of the local server: one invocation at a time; the end waits for running requests."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

SEND_SECONDS = 5  # for an answer at the end: who asked may not read it
T = TypeVar("T")


class Environment:
    """Counts the requests that were accepted: each is answered, even if the server is told to stop meanwhile."""

    def __init__(self) -> None:
        # One thread for all invocations, as in Lambda: torch keeps its worker threads between them.
        self._pool = ThreadPoolExecutor(1, "execution-environment")
        self._changed = threading.Condition()
        self._taken = self._invoked = 0  # requests without their whole answer; those of them that call the function
        self._ended = False

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Count a request until it is answered. Yields False if the server is stopping: it takes no more."""
        with self._changed:
            taken = not self._ended
            self._taken += taken
        try:
            yield taken
        finally:
            self._count(taken=-int(taken))

    def invoke(self, function: Callable[[], T]) -> T:
        """Call the function, after the calls of earlier requests."""
        self._count(invoked=1)
        try:
            return self._pool.submit(function).result()
        finally:
            self._count(invoked=-1)

    def shutdown(self) -> None:
        """Refuse new requests, and wait for those that were taken, but not for clients that do not read the answer."""
        with self._changed:
            self._ended = True
            while self._taken and (self._changed.wait(SEND_SECONDS) or self._invoked):
                pass
        self._pool.shutdown()

    def _count(self, taken: int = 0, invoked: int = 0) -> None:
        with self._changed:
            self._taken += taken
            self._invoked += invoked
            self._changed.notify_all()
