"""Run a function on many items in threads, a bounded number ahead, and yield the results in order."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Pool:
    """Daemon threads: they end with the process, so that Ctrl-C does not wait for a slow response."""

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
        """Cancel the work that has not begun, and end the threads after their current work."""
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
    """Yield the function's result for each item, in order; at most `ahead` items are started and not yet yielded.

    Without a pool, each result is computed when it is asked for. With `first_alone`, the others start after the first.
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
