"""One execution environment of the local server: one invocation at a time, and an end that cuts nothing off."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

SEND_SECONDS = 5  # for an answer at the end: who asked may not read it
T = TypeVar("T")


class Environment:
    """What requests are taken into. One that was taken is answered, also where the server is told to stop meanwhile."""

    def __init__(self) -> None:
        # One thread for all invocations, as in Lambda: torch keeps its worker threads between them.
        self._pool = ThreadPoolExecutor(1, "execution-environment")
        self._changed = threading.Condition()
        self._taken = self._invoked = 0  # requests without their whole answer, and those of them that wait for it
        self._ended = False

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Take a request while it is answered; False where the server stops, which takes no more."""
        with self._changed:
            taken = not self._ended
            self._taken += taken
        try:
            yield taken
        finally:
            self._count(taken=-int(taken))

    def invoke(self, function: Callable[[], T]) -> T:
        """Call the function for a request that was taken, behind those that came before."""
        self._count(invoked=1)
        try:
            return self._pool.submit(function).result()
        finally:
            self._count(invoked=-1)

    def shutdown(self) -> None:
        """Take no more, and wait until each that was taken has its answer, or does not read it."""
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
