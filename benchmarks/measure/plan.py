"""What one run measures, and how much of it: the same for every package."""

import math
from typing import NamedTuple

from benchmarks.measure.errors import MeasureError
from layer.naming.memory import MAX_MB, MIN_MB

MEMORY = (1024, 1769, 3008)  # MB; 1,769 buy one processor, and a new account has no more than 3,008
SHAPES, ARCHITECTURES = ("image", "layer"), ("x86_64", "arm64")
RESERVE = 2  # the share of the account's free concurrency that is taken: the rest is for what else runs there


class Target(NamedTuple):
    """What a package is made for."""

    shape: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.shape}, {self.architecture}"


class Plan(NamedTuple):
    """Sizes of memory in MB, cold starts of each kind, requests of each workload, levels of concurrency, seconds each.

    `at_once` is how many invocations the account lets this run have at the same time.
    """

    memory: tuple[int, ...]
    starts: int
    requests: int
    levels: tuple[int, ...]
    seconds: float
    at_once: int

    @property
    def deployed_memory(self) -> int:
        """The memory of the deployment: its health check must not fail where the smallest size is too small."""
        return min([size for size in self.memory if size >= MEMORY[1]] or [max(self.memory)])

    @property
    def snapshots(self) -> int:
        """How many versions give so many restores: each gives as many as run at the same time."""
        return math.ceil(self.starts / self.at_once)

    @property
    def reached_levels(self) -> tuple[int, ...]:
        """The levels of concurrency that the account has room for."""
        return tuple(level for level in self.levels if level <= self.at_once)


def plan(memory: list[int], starts: int, requests: int, levels: list[int], seconds: float, free: int) -> Plan:
    """Return the plan for an account with `free` concurrent executions. Raises MeasureError for what Lambda lacks."""
    if wrong := [size for size in memory if not MIN_MB <= size <= MAX_MB]:
        raise MeasureError(f"--memory {wrong[0]}: give MB from {MIN_MB} to {MAX_MB:,}")
    if not 0 < seconds <= 60:
        raise MeasureError(f"--seconds {seconds:g}: give from 1 to 60")
    sizes, rising = tuple(sorted(set(memory))), tuple(sorted(set(levels)))
    return Plan(sizes, starts, requests, rising, seconds, max(1, free // RESERVE))
