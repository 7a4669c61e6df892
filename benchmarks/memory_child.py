"""One fresh process of the memory sweep: a cold start, then warm requests. Prints JSON: seconds, and bytes at the peak.

A warm time is the mean over the runs: a share of a processor is taken away in slices, which a median would not show.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.child import Embed, plain_recipe, shipped_handler
from benchmarks.peak_memory import peak_memory


def main() -> None:
    """Embed one image and one text as soon as possible, then each workload as often as it says."""
    if len(sys.argv) != 2 or "BENCH_STARTED" not in os.environ:
        sys.exit("error: `python -m benchmarks.memory` starts this process; run that")
    started = float(os.environ["BENCH_STARTED"])
    asked: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    embed, _ = plain_recipe() if os.environ.get("BENCH_PLAIN") else shipped_handler()
    first = next(images for images, _, _ in asked["workloads"].values() if images)
    embed(first, [asked["caption"]])
    report: dict[str, Any] = {"cold": time.monotonic() - started, "warm": {}}
    for name, (images, texts, runs) in asked["workloads"].items():
        report["warm"][name] = _mean(embed, images, texts, runs)
    if os.environ.get("BENCH_BATCH"):
        embed(first * 32, [])  # the peak of a function that gets batches
    report["peak"] = peak_memory()
    print(json.dumps(report))


def _mean(embed: Embed, images: list[str], texts: list[str], runs: int) -> float:
    embed(images, texts)  # the first of a shape may set something up
    start = time.perf_counter()
    for _ in range(runs):
        embed(images, texts)
    return (time.perf_counter() - start) / runs


if __name__ == "__main__":
    main()
