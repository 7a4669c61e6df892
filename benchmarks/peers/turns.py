"""Contenders in turns: fresh processes for cold starts, then all at once alive, each asked the same a little at a time.

A slow minute of the machine is everybody's. A contender that dies is left out from there on, and its reason is kept.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import page_cache
from benchmarks.child_environ import child_environ
from benchmarks.peers import environments
from benchmarks.peers.contender import Entry, Setup
from benchmarks.peers.entries import REFERENCE
from benchmarks.peers.processes import ContenderError, Process, running
from benchmarks.peers.results import WORKLOADS, Result, Workload, percentile_20
from layer.progress import bar, each

COLD_SHARE = 0.4  # of the time: after it no further start of all begins
MIN_ROUNDS = 2
SLOW = 1.5  # times the plain recipe


class Turns:
    """The contenders of one model, with AMX or without. `keep` is called whenever there is more to keep."""

    def __init__(
        self,
        setup: Setup,
        entries: Sequence[Entry],
        place: Path,
        hide_amx: bool,
        keep: Callable[[list[Result]], None] = lambda results: None,
    ) -> None:
        self._setup, self._entries, self._hide, self._keep = setup, entries, hide_amx, keep
        self._pythons = {
            entry.name: str(environments.interpreter(entry.environment, place)) if entry.environment else sys.executable
            for entry in entries
        }
        self._found = {entry.name: Result(entry.name, entry.ours, entry.towers) for entry in entries}
        self._label = f"{setup.name}{', AMX off' if hide_amx else ''}"

    def run(self, starts: int, rounds: int, seconds: float) -> list[Result]:
        """Start each up to `starts` times on all processors and on one, then measure up to `rounds` rounds.

        What does not fit into so many seconds is left out, but not the first start and the first two rounds.
        """
        child_environ()  # makes bytecode: not within the first start
        begin = time.monotonic()
        self._starts(starts, begin + COLD_SHARE * seconds)
        with ExitStack() as stack:
            alive = dict(self._alive(stack))
            for name, process in each(list(alive.items()), f"{self._label}, vectors", "contender", itemgetter(0)):
                with self._told(name):
                    vectors = process.ask({"do": "vectors"})
                    self._found[name].compare(vectors, self._setup.peers / "inputs")
            self._keep(list(self._found.values()))
            self._rounds(alive, rounds, begin + seconds)
            for name, process in alive.items():
                if self._found[name].failed:
                    continue
                with self._told(name):
                    self._found[name].peak = process.ask({"do": "peak"})["peak"]
        return list(self._found.values())

    def _going(self) -> list[Entry]:
        return [entry for entry in self._entries if not self._found[entry.name].failed]

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """If a contender dies in this block, record the reason and go on."""
        try:
            yield
        except ContenderError as error:
            self._found[name].failed = str(error)
            tqdm.write(f"{name}: {error}; the others go on", file=sys.stderr)

    def _starts(self, starts: int, until: float) -> None:
        turns = [(cpus, entry) for cpus in (0, 1) for entry in self._entries]
        with bar(f"{self._label}, cold", starts * len(turns), "start") as shown:
            for turn in range(starts):
                begin = time.monotonic()
                for cpus, entry in turns:
                    shown.note(entry.name)
                    if not self._found[entry.name].failed:
                        self._cold(entry, cpus)
                    shown.update()
                self._keep(list(self._found.values()))
                if 2 * time.monotonic() - begin > until:  # another turn as long as this one
                    shown.total = (turn + 1) * len(turns)
                    break

    def _cold(self, entry: Entry, cpus: int) -> None:
        page_cache.drop()
        result = self._found[entry.name]
        with self._told(entry.name), running(*self._command(entry, cpus, stops=True)) as process:
            first = process.first
            if cpus:
                result.cold_on_one.append(first["cold"])
            else:
                result.cold.append(first["cold"])
                result.cold_peak.append(first["cold_peak"])

    def _alive(self, stack: ExitStack) -> Iterator[tuple[str, Process]]:
        for entry in each(self._going(), f"{self._label}, loaded", "contender", attrgetter("name")):
            with self._told(entry.name):
                yield entry.name, stack.enter_context(running(*self._command(entry, 0, stops=False)))

    def _rounds(self, alive: dict[str, Process], rounds: int, until: float) -> None:
        asks = [
            (entry, measure, workload)
            for workload in WORKLOADS
            for measure in ("towers", "requests")
            for entry in self._going()
            if getattr(entry, measure)
        ]
        with bar(f"{self._label}, warm", rounds * len(asks), "cell") as shown:
            for round_ in range(rounds):
                begin = time.monotonic()
                for entry, measure, workload in asks:
                    shown.note(entry.name)
                    if not self._found[entry.name].failed:
                        with self._told(entry.name):
                            self._ask(alive[entry.name], entry.name, measure, workload)
                    shown.update()
                self._keep(list(self._found.values()))
                if round_ + 1 >= MIN_ROUNDS and 2 * time.monotonic() - begin > until:
                    shown.total = (round_ + 1) * len(asks)
                    break

    def _ask(self, process: Process, name: str, measure: str, workload: Workload) -> None:
        single = next(one.name for one in WORKLOADS if one.kind == workload.kind and one.number == 1)
        if workload.number > 1 and self._is_slow(name, measure, single):
            return
        numbers = {"count": workload.number, "repeats": workload.repeats, "warm_up": 1}
        asked = {"do": workload.kind, "measure": measure, **numbers}
        self._found[name].add(measure, workload.name, process.ask(asked)["seconds"])

    def _is_slow(self, name: str, measure: str, single: str) -> bool:
        """Tell whether it takes longer for one than the plain recipe: then it is not asked for many at once.

        bf16 without AVX-512 takes half a minute for 32 images.
        """
        plain, own = (
            percentile_20(result.warm.get(measure, {}).get(single, []))
            for result in (self._found.get(REFERENCE.name, self._found[name]), self._found[name])
        )
        return own > SLOW * plain

    def _command(self, entry: Entry, cpus: int, stops: bool) -> tuple[str, dict[str, Any]]:
        """Return the interpreter, and the process's input."""
        allowed = sorted(os.sched_getaffinity(0))[: cpus or 2]
        inputs = self._setup.peers / "inputs"
        given = {
            "entry": entry._asdict(),
            "setup": {**self._setup.as_json(), "threads": len(allowed)},
            "inputs": str(inputs),
            "request": str(inputs / "request.json"),
            "cpus": allowed,
            "hide_amx": self._hide,
            "stops": stops,
            "started": time.monotonic(),
        }
        return self._pythons[entry.name], given
