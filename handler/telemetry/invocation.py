"""One call's record: what it was about, how it ended, and where its time went. Never what was in it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

STAGES = ("load", "fetch", "decode", "preprocess", "tokenize", "inference", "search")


class Stage:
    """Seconds spent in one kind of work, and between which seconds of `time.time()`."""

    def __init__(self, seconds: float, first: float, last: float) -> None:
        self.seconds, self.first, self.last = seconds, first, last


class Call:
    """One invocation. `code` is an error's, None where all went well."""

    def __init__(self, request_id: str = "unknown", cold: bool = False) -> None:
        self.request_id, self.cold = request_id, cold
        self.started = time.time()
        self.route = "invoke"
        self.balanced = False  # whether a load balancer sent it, which takes smaller responses than Lambda's
        self.dialect: str | None = None  # the vendor whose request it was, and whose shape an error takes
        self.status = 0
        self.code: str | None = None
        self.model: str | None = None
        self.texts = self.images = 0
        self.full: list[str] = []  # the fields of texts that fill the model's context: what is beyond it is not read
        self.own: dict[str, float] = {}  # metrics of code of the deployment's own
        self.seconds = 0.0
        self.stages: dict[str, Stage] = {}
        self._lock = threading.Lock()  # images are decoded several at once

    def add(self, name: str, seconds: float) -> None:
        """Count work that ended just now."""
        now = time.time()
        with self._lock:
            known = self.stages.setdefault(name, Stage(0.0, now - seconds, now))
            known.seconds += seconds
            known.last = now

    def server_timing(self) -> str:
        """Say where the time went as browsers read it: milliseconds."""
        parts = [f"{name};dur={stage.seconds * 1000:.1f}" for name, stage in self.stages.items()]
        return ", ".join([*parts, f"total;dur={self.seconds * 1000:.1f}"])


_current: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def active(call: Call) -> Iterator[None]:
    """Make it the call that `stage` and `current` are about, and measure it."""
    token, start = _current.set(call), time.perf_counter()
    try:
        yield
    finally:
        call.seconds = time.perf_counter() - start
        _current.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the time of the work inside as one of STAGES; outside of a call nothing is kept."""
    start = time.perf_counter()
    try:
        yield
    finally:
        if call := _current.get():
            call.add(name, time.perf_counter() - start)


def current() -> Call:
    """Return the call that is going on; outside of one, a record that nobody reads."""
    return _current.get() or Call()
