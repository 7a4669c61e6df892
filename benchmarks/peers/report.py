"""The comparison as docs/peers.md and .json: each cell with its spread, what counts, and how far ahead ours are."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.pages import machine, markdown_table, replace_file
from benchmarks.peers.limits import Limits
from benchmarks.peers.results import REQUIRED, WORKLOADS, Result, lead, lead_in, median, percentile_20

TOWERS, REQUESTS = "towers", "requests"
NAMES = tuple(workload.name for workload in WORKLOADS)
CAPTION_BARS = {"ViT-B-32": 2.5, "ViT-B-16-SigLIP-i18n-256": 1.1}
IMAGE_BAR, COLD_BAR, MEMORY_BAR = 1.1, 1.7, 1.0
INTRODUCTION = """# Beside the peers

What people would pick instead of our engines, on the same weights (random, of the true architecture) and inputs, in \
turns. [What each is, and how to run this](engines.md#beside-other-ways-to-run-the-model).

- Times are milliseconds, median / 20th percentile. *Towers*: pixels and token ids go in. *Whole requests*: JPEGs of \
640x480 and texts go in, for ours through `lambda_handler`.
- The cosines are the least of 32 to open_clip in fp32. What is below {required}, ours too, is shown in parentheses \
and not counted: of images by the image cosine, of captions by the text cosine, of a start and of memory by both.
- A floor is the time of a tower's products alone with 8-bit weights, each shape in the fastest of ONNX Runtime, \
OpenVINO and torch; a caption's is the time to read the text tower's weights once. *x* is a cell's 20th percentile as \
a multiple of the floor.
- A start lasts from the process's begin to the first image and the first caption; as root, the page cache is \
dropped before it.
- A dash: slower at one than the plain recipe by half, so not asked for many. bf16 in torch is slow without AVX-512.

`{command}`, {date}, on {machine}.
"""


@dataclass(frozen=True)
class Comparison:
    """One model in one mode of AMX; `left_out` says of each peer that cannot run it why."""

    model: str
    amx: str
    results: list[Result]
    limits: Limits
    left_out: Mapping[str, str]


def write(comparisons: Sequence[Comparison], facts: Mapping[str, Any], folder: Path) -> None:
    """Write peers.md and peers.json; the files that were there stay until the new ones are complete."""
    content = {**facts, "machine": machine(), "comparisons": [asdict(one) for one in comparisons]}
    content = json.loads(json.dumps(content), parse_constant=lambda _: None)  # NaN is no JSON
    replace_file(folder / "peers.json", json.dumps(content, indent=1).encode())
    replace_file(folder / "peers.md", markdown(comparisons, facts).encode())


def markdown(comparisons: Sequence[Comparison], facts: Mapping[str, Any]) -> str:
    """Return the page."""
    parts = [INTRODUCTION.format(required=REQUIRED, machine=machine(), **facts)]
    for one in comparisons:
        parts.append(f"\n## {one.model}, {one.amx}\n\n{_counts(one)}\n")
        for title, measure in (("Towers", TOWERS), ("Whole requests", REQUESTS)):
            parts.append(f"\n### {title}: {one.model}, {one.amx}\n\n{_speeds(one, measure)}\n")
        parts.append(f"\n### Starts and memory: {one.model}, {one.amx}\n\n{_starts(one)}\n")
        parts.append(f"\n### Ours to the best peer: {one.model}, {one.amx}\n\n{_leads(one)}\n")
        parts += [f"\n{name} is not here: {why}.\n" for name, why in one.left_out.items()]
        parts += [f"\n{each.name} ended early: `{each.failed}`.\n" for each in one.results if each.failed]
    return "".join(parts)


def _counts(one: Comparison) -> str:
    starts = max((len(result.cold) for result in one.results), default=0)
    alone = [len(cells["image"]) for result in one.results for cells in result.warm.values() if "image" in cells]
    return f"At most {starts} fresh processes of each, and {max(alone, default=0)} times one image."


def _speeds(one: Comparison, measure: str) -> str:
    rows = [["", *NAMES, "least cosine image", "text"]]
    floors = one.limits.floors if measure == TOWERS else {}
    for result in one.results:
        if measure in result.warm:
            cells = [_speed(result, result.warm[measure].get(name, []), name, floors) for name in NAMES]
            cosines = [f"{result.cosines.get(kind, math.nan):.5f}" for kind in ("images", "captions")]
            rows.append([result.name, *cells, *cosines])
    if floors:
        rows.append(["*floor*", *(f"{floors.get(name, math.nan) * 1000:.2f}, 1.0x" for name in NAMES), "", ""])
        rows += [[f"*peak on {count}*", *(_peak(one.limits, name, count) for name in NAMES), "", ""] for count in "12"]
    return markdown_table(rows) + (f"\n\n{_peaks(one.limits)}" if floors else "")


def _speed(result: Result, seconds: Sequence[float], workload: str, floors: Mapping[str, float]) -> str:
    if not seconds:
        return "-"
    cell = f"{median(seconds) * 1000:.1f} / {percentile_20(seconds) * 1000:.1f}"
    if workload in floors:
        cell += f", {percentile_20(seconds) / floors[workload]:.1f}x"
    return cell if result.counts(workload) else f"({cell})"


def _peak(limits: Limits, workload: str, count: str) -> str:
    """Return what the machine could do of what bounds a workload: its 8-bit operations, or its memory."""
    name = f"memory on {count}" if workload == "caption" else f"int8 on {count}"
    return _rate(name, limits.peaks.get(name, math.nan))


def _rate(name: str, value: float) -> str:
    return f"{value / 1e9:,.0f} GB/s" if name.startswith("memory") else f"{value / 1e9:,.0f} GOP/s"


def _peaks(limits: Limits) -> str:
    peaks = ", ".join(f"{name} {_rate(name, value)}" for name, value in limits.peaks.items())
    return f"The machine's peaks, of large square products and of memory, on one processor and on two: {peaks}."


def _starts(one: Comparison) -> str:
    rows = [["", "cold s", "cold s on one processor", "peak MB of a start", "peak MB after all"]]
    for result in one.results:
        cells = [f"{median(found):.2f} / {percentile_20(found):.2f}" for found in (result.cold, result.cold_on_one)]
        cells += [f"{median(result.cold_peak) / 1e6:.0f}", f"{result.peak / 1e6:.0f}"]
        rows.append([result.name, *(cell if result.counts() else f"({cell})" for cell in cells)])
    return markdown_table(rows)


def leads(one: Comparison) -> list[tuple[str, float, float, str]]:
    """Return each cell's name, how many times better ours is than the best peer that counts, its bar, and that peer."""
    found = []
    for measure, title in ((TOWERS, "towers"), (REQUESTS, "whole request")):
        for workload in NAMES:
            bar = IMAGE_BAR if workload.startswith("image") else CAPTION_BARS.get(one.model, IMAGE_BAR)
            if ahead := lead(one.results, measure, workload):
                found.append((f"{workload}, {title}", ahead[0], bar, ahead[1]))
    for name, bar, values in (
        ("cold", COLD_BAR, {result.name: median(result.cold) for result in one.results}),
        ("cold on one processor", COLD_BAR, {result.name: median(result.cold_on_one) for result in one.results}),
        ("peak memory of a start", MEMORY_BAR, {result.name: median(result.cold_peak) for result in one.results}),
        ("peak memory", MEMORY_BAR, {result.name: result.peak for result in one.results}),
    ):
        if ahead := lead_in(one.results, values):
            found.append((name, ahead[0], bar, ahead[1]))
    return found


def _leads(one: Comparison) -> str:
    rows = [["cell", "ahead", "wanted", "", "best peer that counts"]]
    for name, ahead, bar, peer in leads(one):
        met = ahead > bar if bar == MEMORY_BAR else ahead >= bar
        told = "none of ours counts" if math.isnan(ahead) else f"{ahead:.2f}x"
        rows.append([name, told, f"{bar}x", "met" if met else "**not met**", peer])
    return markdown_table(rows)
