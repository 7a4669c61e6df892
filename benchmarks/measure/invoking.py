"""One invocation of the function, with what Lambda says about it; one after the other, or many at the same time."""

import base64
import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from benchmarks.measure import log_lines, prices
from benchmarks.measure.account import Account
from benchmarks.measure.errors import FailedError
from benchmarks.measure.estimate import Spent
from benchmarks.measure.stopping import Stopping
from console.counts import counted

TIMEOUT = 910  # seconds: longer than any function runs, or what was paid for is not seen
REFUSED = "TooManyRequestsException"


class Invocation(NamedTuple):
    """What one invocation took: milliseconds and MB, None where Lambda did not say. `error`: what went wrong."""

    cold: bool = False
    duration_ms: float | None = None
    billed_ms: float | None = None
    init_ms: float | None = None
    restore_ms: float | None = None
    load_ms: float | None = None
    max_memory_mb: float | None = None
    refused: bool = False  # the concurrency was used up
    error: str | None = None


class Function:
    """A deployed function at one size of memory; counts what its invocations cost."""

    def __init__(
        self, account: Account, name: str, architecture: str, spent: Spent, connections: int, stopping: Stopping
    ) -> None:
        self._client = account.client("lambda", TIMEOUT, 1, connections)
        self._name, self._architecture, self._spent, self._stopping = name, architecture, spent, stopping
        self.memory_mb = 0

    def invoke(self, event: dict[str, Any], items: int, version: str = "$LATEST") -> Invocation:
        """Invoke once, without a second try, and read the report at the end of the log."""
        with self._stopping.deferred():
            return self._invoke(event, items, version)

    def _invoke(self, event: dict[str, Any], items: int, version: str = "$LATEST") -> Invocation:
        started = time.monotonic()
        try:
            answer = self._client.invoke(
                FunctionName=self._name, Qualifier=version, LogType="Tail", Payload=json.dumps(event).encode()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == REFUSED:
                return Invocation(refused=True)
            raise
        said = log_lines.read(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"))
        found = said.metrics
        restored, init = found.get("restoreDurationMs"), found.get("initDurationMs")
        self._count(found, 1000 * (time.monotonic() - started))
        return Invocation(
            cold=said.cold if said.cold is not None else (restored or init) is not None,
            duration_ms=found.get("durationMs"),
            billed_ms=found.get("billedDurationMs"),
            init_ms=init,
            restore_ms=restored,
            load_ms=said.load_ms,
            max_memory_mb=found.get("maxMemoryUsedMB"),
            error=_error(answer, items),
        )

    def at_once(self, event: dict[str, Any], items: int, version: str, many: int) -> list[Invocation]:
        """Invoke `many` times at the same time, so that each needs an execution environment of its own."""
        barrier = threading.Barrier(many)

        def one(_: int) -> Invocation:
            barrier.wait()
            return self._invoke(event, items, version)

        with self._stopping.deferred(), ThreadPoolExecutor(many) as pool:
            return list(pool.map(one, range(many)))

    def busy(self, event: dict[str, Any], items: int, many: int, seconds: float) -> tuple[list[Invocation], float]:
        """Let `many` callers invoke without a pause for `seconds`; returns the invocations and how long it took."""
        self.at_once(event, items, "$LATEST", many)  # so many execution environments are there
        started = time.monotonic()

        def caller(_: int) -> list[Invocation]:
            found = []
            while time.monotonic() - started < seconds and not self._stopping.stopped:
                found.append(self._invoke(event, items))
                if found[-1].refused:
                    time.sleep(0.1)
            return found

        with self._stopping.deferred(), ThreadPoolExecutor(many) as pool:
            found = [one for got in pool.map(caller, range(many)) for one in got]
        return found, time.monotonic() - started

    def _count(self, found: dict[str, float], waited: float) -> None:
        """Add the cost of an invocation; without Lambda's report, the most that it can be, by the time waited."""
        gb, billed = self.memory_mb / 1024, found.get("billedDurationMs", waited)
        dollars = prices.request() + billed / 1000 * gb * prices.gb_second(self._architecture)
        if "restoreDurationMs" in found:
            dollars += gb * prices.SNAPSHOT_GB_RESTORED
        self._spent.add(dollars)


def good(invocations: Sequence[Invocation], what: str) -> list[Invocation]:
    """Return the invocations that went well. Raises FailedError with the reason where none did."""
    found = [one for one in invocations if not one.error and not one.refused]
    if not found:
        reasons = sorted({one.error or "refused: the account's concurrency is used up" for one in invocations})
        raise FailedError(f"{what}: no invocation succeeded: {'; '.join(reasons)[:1000]}")
    return found


def _error(answer: dict[str, Any], items: int) -> str | None:
    payload = answer["Payload"].read()
    if "FunctionError" in answer:
        return f"{answer['FunctionError']}: {payload[:500].decode(errors='replace')}"
    try:
        rows = json.loads(payload)["data"]
        if len(rows) == items:
            return None
    except (ValueError, KeyError, TypeError):
        pass
    return f"{counted(items, 'embedding')} asked for, and answered with: {payload[:500].decode(errors='replace')}"
