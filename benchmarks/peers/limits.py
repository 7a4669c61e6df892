"""What this machine can do, and the least time of each of a model's cells: in a process, with AMX or without.

Operations and bytes a second. An image's floor is the time of the tower's products alone, a caption's is that
of reading the text tower's weights once.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import ROOT
from benchmarks.child_report import child_report
from benchmarks.peers import amx, floor, products

SIDES = (256, 512, 1024, 2048)
LONG = 0.25  # seconds: a product that takes longer is not tried larger
COPIED = 256 * 1024 * 1024
COMMAND = "from benchmarks.peers.limits import main; main()"


@dataclass(frozen=True)
class Limits:
    """`peaks` by what and number of processors, as `int8 on 2`; `floors` in seconds by workload."""

    peaks: dict[str, float]
    floors: dict[str, float]


def measure(model: str, tokens: int | None, hide_amx: bool) -> Limits:
    """Measure in fresh processes: on one processor and on two. `tokens` are the caption's, where only they count."""
    peaks: dict[str, float] = {}
    floors: dict[str, float] = {}
    for count in (1, 2):
        given = json.dumps({"model": model, "tokens": tokens, "hide_amx": hide_amx, "processors": count})
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", COMMAND, given]
        found = child_report(command, environ, ROOT, "the machine's limits could not be measured")
        peaks |= {f"{name} on {count}": value for name, value in found["peaks"].items()}
        floors = found["floors"]  # those of the last, which has all processors
    return Limits(peaks, floors)


def main() -> None:
    """Measure in this process; argv: JSON."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given["processors"]])
    if given["hide_amx"]:
        amx.hide()
    import torch

    torch.set_num_threads(given["processors"])
    peaks = machine_peaks()
    found = floors(given["model"], given["tokens"], peaks["memory"]) if given["processors"] == 2 else {}
    print(json.dumps({"peaks": peaks, "floors": found}))


def machine_peaks() -> dict[str, float]:
    """Measure products of large square matrices, and memory: copied, or read, whichever is more bytes a second."""
    import torch

    found = {name: _rate(name) for name in ("fp32", "bf16")}
    square = products.Product(SIDES[-1], SIDES[-1], SIDES[-1])
    found["int8"] = 4 * square.operations / floor.least_seconds([square] * 4, 5)
    source, target = (torch.zeros(COPIED // 4) for _ in range(2))
    copied = 2 * COPIED / floor.shortest(lambda: target.copy_(source), 5)
    found["memory"] = max(copied, COPIED / floor.shortest(source.sum, 5))
    return found


def _rate(name: str) -> float:
    """Return operations a second; bf16 is a plain loop in torch without AVX-512, a hundred times slower than fp32."""
    import torch

    best = 0.0
    for side in SIDES:
        left = torch.ones(side, side, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[name])
        seconds = floor.shortest(lambda left=left: torch.mm(left, left), 5)  # type: ignore[misc]
        best = max(best, 2 * side**3 / seconds)
        if seconds > LONG:
            break
    return best


def floors(model: str, tokens: int | None, bandwidth: float) -> dict[str, float]:
    """Return the least seconds of each workload; of 32 images, four times that of 8."""
    one, eight = (floor.least_seconds(products.of_tower(model, "images", count)) for count in (1, 8))
    eight = min(eight, 8 * one)
    found = {"image": one, "image of 8": eight, "image of 32": 4 * eight}
    found["caption"] = weights_floor(products.of_tower(model, "captions", 1, tokens), bandwidth)
    found["caption of 32"] = floor.least_seconds(products.of_tower(model, "captions", 32, tokens))
    return found


def weights_floor(wanted: Sequence[products.Product], bandwidth: float) -> float:
    """Return the seconds that reading every weight once takes, a byte each."""
    return sum(one.weights for one in wanted) / bandwidth
