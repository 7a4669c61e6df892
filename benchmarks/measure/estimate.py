"""What a run will cost, line by line, before anything is created; and what it has cost while it goes on."""

import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks.measure import prices
from benchmarks.measure.errors import BudgetError
from benchmarks.measure.plan import Plan, Target

# What is assumed of a model that was not measured yet: rather too much, since the run stops where it would be passed.
COLD_SECONDS = 10.0  # an init on demand and the first request
RESTORED_SECONDS = 3.0  # the first request after a restore, and the part of the restore that is billed
WARM_SECONDS = 1.0  # a request of one item
ALARMS, METRICS = 10, 30  # of the stack, and of the handler's lines by function and model


class Line(NamedTuple):
    """One line: the dollars of something, and how they come about."""

    name: str
    dollars: float
    formula: str


def lines(plan: Plan, targets: Sequence[Target], workloads: Sequence[int]) -> list[Line]:
    """Return what the plan costs for all targets; `workloads` are the items of one request of each kind."""
    gb, many = sum(plan.memory) / 1024, len(targets)
    rate = sum(prices.gb_second(target.architecture) for target in targets)  # of one GB-second in each target
    size = f"{gb:.2f} GB in all sizes"
    items = sum(workloads)
    snapshots = plan.snapshots * gb + plan.deployed_memory / 1024
    restores = plan.starts * gb
    busy = sum(plan.reached_levels) * plan.seconds
    requests = len(plan.memory) * (2 * plan.starts + plan.requests * len(workloads))
    requests += round(len(plan.memory) * busy * 20)  # 20 requests a second: none is faster
    return [
        Line("inits", plan.starts * COLD_SECONDS * gb * rate, f"{plan.starts} x {COLD_SECONDS:g} s x {size}"),
        Line("snapshots", many * snapshot(snapshots), f"{many} x {snapshots:.2f} GB for 3 hours, the least"),
        Line(
            "restores",
            many * restores * prices.SNAPSHOT_GB_RESTORED + restores * RESTORED_SECONDS * rate,
            f"{plan.starts} x {size}, restored and run for {RESTORED_SECONDS:g} s",
        ),
        Line(
            "warm requests",
            plan.requests * items * WARM_SECONDS * gb * rate,
            f"{plan.requests} x {items} items x {WARM_SECONDS:g} s x {size}",
        ),
        Line("concurrency", busy * gb * rate, f"{busy:g} s of all levels together x {size}"),
        Line("requests", many * requests * prices.request(), f"{many} x {requests:,} requests, traces and log lines"),
        Line("the stack", many * stack_hour(), f"{many} x one hour of a key, {ALARMS} alarms, {METRICS} metrics"),
    ]


def snapshot(gb: float) -> float:
    """Return the dollars of snapshots that are kept no longer than Lambda bills them at least."""
    return gb * prices.SNAPSHOT_SECONDS * prices.SNAPSHOT_GB_SECOND


def stack_hour() -> float:
    """Return the dollars of an hour of what a stack has even when nobody calls it."""
    month = prices.KEY_MONTH + ALARMS * prices.ALARM_MONTH + METRICS * prices.METRIC_MONTH
    return month / prices.MONTH_HOURS


def total(found: Iterable[Line]) -> float:
    """Add the lines up."""
    return sum(line.dollars for line in found)


def table(found: Sequence[Line]) -> str:
    """Return the lines for a terminal."""
    rows = [f"  {line.name:<14} ${line.dollars:7.4f}  {line.formula}" for line in found]
    return "\n".join([*rows, f"  {'together':<14} ${total(found):7.4f}  at most, by {prices.LISTED}; no free tier"])


class Spent:
    """Dollars that this run has cost, by what Lambda says that it billed; safe for threads."""

    def __init__(self, budget: float) -> None:
        self.budget, self.dollars = budget, 0.0
        self._lock = threading.Lock()

    def add(self, dollars: float) -> None:
        """Count what was spent."""
        with self._lock:
            self.dollars += dollars

    def allow(self, dollars: float, what: str) -> None:
        """Raise BudgetError where the next step, which may cost `dollars`, could pass the budget."""
        if self.dollars + dollars > self.budget:
            raise BudgetError(
                f"${self.dollars:.2f} are spent, and {what} may cost ${dollars:.4f}: more than the budget of "
                f"${self.budget:.2f}. Give a higher --budget, or fewer --memory, --starts, --requests or --concurrency"
            )
