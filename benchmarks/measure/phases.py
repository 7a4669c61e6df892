"""The measuring of one deployed function: cold starts, warm requests, concurrency, at each size of memory."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks import samples
from benchmarks.measure import estimate, prices
from benchmarks.measure.account import AWS, Account
from benchmarks.measure.errors import FailedError, MeasureError
from benchmarks.measure.estimate import Spent
from benchmarks.measure.invoking import Function, Invocation, good
from benchmarks.measure.plan import Plan, Target
from benchmarks.measure.stopping import Stopping

ROUND = "MEASURE_ROUND"  # a variable that the handler does not read: another value makes other execution environments
WAVES = 3  # of restores that one snapshot is asked for, where not all of a wave were restores


class Workload(NamedTuple):
    """One kind of request: its name, its items and its body."""

    name: str
    items: int
    event: dict[str, Any]


def workloads() -> list[Workload]:
    """Return the requests that are measured, the same in every run."""
    rng = np.random.default_rng(0)
    images = [{"image": samples.image(rng)} for _ in range(8)]
    return [
        Workload("image", 1, {"input": images[:1]}),
        Workload("caption", 1, {"input": [samples.CAPTION]}),
        Workload("image of 8", 8, {"input": images}),
    ]


FIRST = Workload("first", 2, {})  # what a cold start is asked: an image and a caption, so that both towers load


class Measured(NamedTuple):
    """The invocations of one size of memory; `busy` has the seconds of each level of concurrency, too.

    `problems` says why the rest was not measured.
    """

    memory_mb: int
    inits: list[Invocation]
    restores: list[Invocation]
    warm: list[tuple[Workload, list[Invocation]]]
    busy: dict[int, tuple[list[Invocation], float]]
    problems: list[str]


class Measuring:
    """One function while it is measured."""

    def __init__(
        self, account: Account, name: str, target: Target, plan: Plan, spent: Spent, stopping: Stopping
    ) -> None:
        most = max((plan.at_once, *plan.reached_levels))
        self._function = Function(account, name, target.architecture, spent, most, stopping)
        self._client, self._name, self._rate = account.client("lambda"), name, prices.gb_second(target.architecture)
        self._plan, self._spent, self._say, self._aws = plan, spent, stopping.say, account.platform == AWS
        self._variables: dict[str, str] | None = None
        self._round = 0
        self.found = [Measured(size, [], [], [], {}, []) for size in plan.memory]
        kinds = workloads()
        both = [*kinds[0].event["input"], *kinds[1].event["input"]]
        self._first, self._workloads = FIRST._replace(event={"input": both}), kinds

    def all(self) -> None:
        """Measure one size of memory after the other, phase by phase; what there is so far is in `found`.

        Raises MeasureError where no size works; one that does not, such as one that is too small, is left out.
        """
        for one in self.found:
            try:
                for phase, measure in (("cold", self._cold), ("warm", self._warm), ("concurrency", self._concurrency)):
                    spent = f" (${self._spent.dollars:.3f} of ${self._spent.budget:.2f})" if self._aws else ""
                    self._say(f"[{phase}] {one.memory_mb:,} MB{spent}")
                    measure(one)
            except FailedError as error:
                self._say(str(error))
                one.problems.append(str(error))
        if all(one.problems for one in self.found):
            raise MeasureError("; ".join(one.problems[0] for one in self.found))

    def _cold(self, one: Measured) -> None:
        gb = one.memory_mb / 1024

        def start() -> Invocation:
            self._configure(one.memory_mb)
            return self._function.invoke(self._first.event, self._first.items)

        dollars = estimate.COLD_SECONDS * gb * self._rate
        one.inits.extend(self._reported(self._plan.starts, start, dollars, "a cold start"))
        good(one.inits, f"cold starts with {one.memory_mb:,} MB")
        self._restores(one, gb)

    def _restores(self, one: Measured, gb: float) -> None:
        """Collect restores: each snapshot gives as many as it is asked for at the same time."""
        version, warm, wanted = "", 0, self._plan.starts if self._aws else 1
        for wave in range(WAVES * self._plan.snapshots):
            missing = wanted - len(one.restores)
            if missing <= 0:
                break
            if not version or warm + missing > self._plan.at_once:
                version, warm = self._publish(one.memory_mb, gb), 0
            many = min(self._plan.at_once, warm + missing)
            self._spent.allow(many * estimate.RESTORED_SECONDS * gb * self._rate, f"wave {wave + 1} of restores")
            found = self._function.at_once(self._first.event, self._first.items, version, many)
            good(found, f"restores with {one.memory_mb:,} MB")
            warm = many  # environments that there may be now: the next wave must be larger by what is missing
            one.restores.extend(restored for restored in found if restored.restore_ms is not None)
            if not self._aws:
                break

    def _warm(self, one: Measured) -> None:
        gb = one.memory_mb / 1024
        for kind in self._workloads:
            self._function.invoke(kind.event, kind.items)  # the first of a shape may set something up
            ask = functools.partial(self._function.invoke, kind.event, kind.items)
            dollars = kind.items * estimate.WARM_SECONDS * gb * self._rate
            found = self._reported(self._plan.requests, ask, dollars, "a warm request")
            one.warm.append(
                (
                    kind,
                    [request for request in good(found, f"{kind.name} with {one.memory_mb:,} MB") if not request.cold],
                )
            )

    def _concurrency(self, one: Measured) -> None:
        gb, kind = one.memory_mb / 1024, self._workloads[0]
        for level in self._plan.reached_levels:
            seconds = self._plan.seconds + estimate.COLD_SECONDS
            self._spent.allow(level * seconds * gb * self._rate, f"a concurrency of {level}")
            one.busy[level] = self._function.busy(kind.event, kind.items, level, self._plan.seconds)

    def _reported(self, many: int, ask: Callable[[], Invocation], dollars: float, what: str) -> list[Invocation]:
        """Invoke until `many` invocations have a report: Lambda may leave it out of a log's end."""
        found: list[Invocation] = []
        counted = 0
        while counted < many and len(found) < 2 * many + 2:
            self._spent.allow(dollars, what)
            found.append(ask())
            counted += found[-1].duration_ms is not None or bool(found[-1].error) or found[-1].refused
        return found

    def _configure(self, memory_mb: int) -> None:
        """Change the function, so that the next invocation starts a new execution environment."""
        if self._variables is None:
            found = self._client.get_function_configuration(FunctionName=self._name)
            self._variables = dict(found["Environment"]["Variables"])
        self._round += 1
        variables = {**self._variables, ROUND: f"{self._round}-{time.time_ns()}"}
        self._client.update_function_configuration(
            FunctionName=self._name, MemorySize=memory_mb, Environment={"Variables": variables}
        )
        self._function.memory_mb = memory_mb
        waiter = self._client.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=self._name, WaiterConfig={"Delay": 1, "MaxAttempts": 600})

    def _publish(self, memory_mb: int, gb: float) -> str:
        """Publish a version, and wait for its snapshot."""
        self._spent.allow(estimate.snapshot(gb), "a snapshot")
        self._configure(memory_mb)
        version: str = self._client.publish_version(FunctionName=self._name)["Version"]
        self._spent.add(estimate.snapshot(gb))
        waiter = self._client.get_waiter("published_version_active")
        waiter.wait(FunctionName=self._name, Qualifier=version, WaiterConfig={"Delay": 2, "MaxAttempts": 450})
        return version
