"""Work done several at once and taken in order, a bounded number of pieces ahead."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Pool:
    """Threads that end with the process, whatever they wait for: Ctrl-C is not kept waiting for a slow answer."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[Any], Any], Any] | None] = queue.SimpleQueue()
        for _ in range(size):
            threading.Thread(target=self._serve, daemon=True).start()

    def submit(self, function: Callable[[T], R], of: T) -> "Future[R]":
        """Have a thread call the function."""
        future: Future[R] = Future()
        self._work.put((future, function, of))
        return future

    def stop(self) -> None:
        """End the threads once they are done with what they are at."""
        while True:
            try:
                left = self._work.get_nowait()
            except queue.Empty:
                break
            if left is not None:
                left[0].cancel()
        for _ in range(self.size):
            self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            future, function, of = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function(of)
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
            else:
                future.set_result(result)
            del work, future, function, of


def ordered(
    pool: Pool | None, function: Callable[[T], R], items: Iterable[T], ahead: int, first_alone: bool = False
) -> Iterator[R]:
    """Yield the function of each item, in their order; at most `ahead` are begun before the first of them is taken.

    Without a pool each is computed when it is asked for. `first_alone`: nothing else is begun before the first is done.
    """
    if pool is None:
        yield from map(function, items)
        return
    begun: deque[Future[R]] = deque()
    for item in items:
        begun.append(pool.submit(function, item))
        if first_alone or len(begun) >= ahead:
            first_alone = False
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
