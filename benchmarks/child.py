"""One fresh process: a cold start, then warm requests. `python -m benchmarks.child <request.json>` prints JSON.

Times are in seconds, memory and reads in bytes. BENCH_STARTED is the parent's CLOCK_MONOTONIC just before it started
this process; BENCH_PLAIN=1 runs the plain recipe instead of the handler; BENCH_CPUS is how many processors it may use.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import event
from benchmarks.peak_memory import peak_memory

Embed = Callable[[list[str], list[str]], Any]  # images in base64, texts


def main() -> None:
    """Embed one image and one text as soon as possible, then each workload as often as it says."""
    if len(sys.argv) != 2 or "BENCH_STARTED" not in os.environ:
        sys.exit("error: `python -m benchmarks` starts this process; run that")
    started = float(os.environ["BENCH_STARTED"])
    if cpus := os.environ.get("BENCH_CPUS"):
        os.sched_setaffinity(0, range(int(cpus)))
    request: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    embed, loads = plain_recipe() if os.environ.get("BENCH_PLAIN") else shipped_handler()
    embed(request["images"][:1], request["texts"][:1])
    cold = time.monotonic() - started
    report: dict[str, Any] = {
        "cold": cold,
        "before_load": loads - started,
        "modules": len(sys.modules),
        "cold_peak": peak_memory(),
        "read": _bytes_read(),
        "warm": {},
    }
    for name, images, texts, runs in request["workloads"]:
        report["warm"][name] = _median(embed, request["images"][:images], request["texts"][:texts], runs)
    report["peak"] = peak_memory()
    print(json.dumps(report))


def plain_recipe() -> tuple[Embed, float]:
    """Return the recipe, and when it begins to load."""
    import base64

    from benchmarks import plain

    imported = time.monotonic()
    return lambda images, texts: plain.embed([base64.b64decode(image) for image in images], texts), imported


def shipped_handler() -> tuple[Embed, float]:
    """Return the handler, and when it began to load, beside which it imports the rest of itself."""
    from handler.app import SERVICE, STARTED, lambda_handler

    def embed(images: list[str], texts: list[str]) -> Any:
        answer = lambda_handler(event.embeddings(images, texts), None)
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])
        return answer

    return embed, STARTED + SERVICE.init_seconds


def _median(embed: Embed, images: list[str], texts: list[str], runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        embed(images, texts)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first of a new shape may set something up


def _bytes_read() -> int:
    """Return the bytes that the disk delivered to this process, by reads and by touching mapped files."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes:"))


if __name__ == "__main__":
    main()
