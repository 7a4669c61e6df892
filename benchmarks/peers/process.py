"""One contender in a process of its own: a cold start, then what the parent asks for, a line of JSON each.

It runs in the contender's environment, which may have neither our packages nor numpy at import. Times are seconds,
memory is bytes.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peak_memory import peak_memory
from benchmarks.peers.contender import Entry, Setup

COMMAND = "from benchmarks.peers.process import main; main()"
BATCH = 8  # of the vectors that are compared


def main() -> None:
    """Embed one image and one caption as soon as possible, tell how long it took, then obey until stdin ends."""
    given = json.loads(sys.argv[1])
    os.sched_setaffinity(0, given["cpus"])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    if given["hide_amx"]:
        from benchmarks.peers import amx  # late: it imports ctypes

        amx.hide()
    request = json.loads(Path(given["request"]).read_text())
    entry = Entry(**given["entry"])
    contender = entry.create(Setup.read(given["setup"]))
    if entry.towers:
        contender.first(base64.b64decode(request["images"][0]), request["captions"][0])
    else:
        contender.request(request["images"][:1], request["captions"][:1])
    cold = time.monotonic() - given["started"]
    _say(answers, {"cold": cold, "cold_peak": peak_memory()})
    if not given["stops"]:
        work = _Work(contender, entry, request, Path(given["inputs"]))
        for line in sys.stdin:
            _say(answers, work.do(json.loads(line)))
    os._exit(0)  # a library's own threads may never end


class _Work:
    """What a parent can ask for."""

    def __init__(self, contender: Any, entry: Entry, request: dict[str, Any], inputs: Path) -> None:
        import numpy as np

        self._contender, self._entry, self._request, self._np = contender, entry, request, np
        self._pixels, self._ids = (np.load(inputs / f"{name}.npy", mmap_mode="r") for name in ("pixels", "ids"))

    def do(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer one line: `vectors`, `peak`, or a workload with how often to run it."""
        if asked["do"] == "peak":
            return {"peak": peak_memory()}
        if asked["do"] == "vectors":
            return {kind: self._vectors(kind) for kind in ("images", "captions")}
        run = self._workload(asked["do"], asked["measure"], asked["count"])
        for _ in range(asked["warm_up"]):
            run()
        return {"seconds": [_timed(run) for _ in range(asked["repeats"])]}

    def _workload(self, kind: str, measure: str, count: int) -> Callable[[], object]:
        if measure == "towers":
            batch = self._np.array((self._pixels if kind == "images" else self._ids)[:count])
            run = getattr(self._contender, kind)
            return lambda: run(batch)
        items = self._request[kind][:count]
        given = {"images": [], "captions": [], kind: items}
        return lambda: self._contender.request(**given)

    def _vectors(self, kind: str) -> list[list[float]]:
        """Embed all inputs of a kind, a few at a time as well as one by one: the first alone, then batches."""
        count = len(self._request[kind])
        found: list[list[float]] = []
        for first, last in [(0, 1), *((at, min(at + BATCH, count)) for at in range(1, count, BATCH))]:
            if self._entry.towers:
                batch = self._np.array((self._pixels if kind == "images" else self._ids)[first:last])
                found += getattr(self._contender, kind)(batch).tolist()
            else:
                given = {"images": [], "captions": [], kind: self._request[kind][first:last]}
                found += self._contender.vectors(self._contender.request(**given))
        return found


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _say(stream: Any, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()
