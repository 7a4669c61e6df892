"""What was measured, as a table, a JSON file and a chart; medians, and ratios to the plain recipe of the same run."""

import json
import os
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.cost import HOSTED, TITAN, cheapest, hosted
from benchmarks.pages import machine, markdown_table, replace_file

mpl.use("Agg")

import matplotlib.pyplot as plt

PLAIN = "plain recipe"


@dataclass(frozen=True)
class Medians:
    """Medians over the fresh processes: seconds, bytes, and seconds by workload."""

    cold: float
    before_load: float
    cold_peak: float
    peak: float
    read: float
    modules: int
    warm: dict[str, float]
    warm_on_one: dict[str, float]  # the same with one processor

    @classmethod
    def of(cls, samples: list[dict[str, Any]], on_one: dict[str, float]) -> "Medians":
        """Take the median of each number."""
        median = {key: statistics.median(sample[key] for sample in samples) for key in samples[0] if key != "warm"}
        warm = {key: statistics.median(sample["warm"][key] for sample in samples) for key in samples[0]["warm"]}
        return cls(**median, warm=warm, warm_on_one=on_one)


@dataclass(frozen=True)
class Report:
    """One run of the benchmark: the medians of each contender, by model and name."""

    date: str
    command: str
    runs: int
    models: dict[str, dict[str, Medians]]
    operations: dict[str, int]  # floating-point, of one image
    matrix_peak: float  # of this machine, in such operations a second


def write(report: Report, folder: Path) -> None:
    """Write benchmarks.md, .json and .png; the files that were there stay until the new ones are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {**asdict(report), "machine": machine()}
    replace_file(folder / "benchmarks.json", json.dumps(content, indent=1).encode())
    replace_file(folder / "benchmarks.md", markdown(report).encode())
    aside = folder / ".benchmarks.png"
    _draw(report, aside)
    aside.replace(folder / "benchmarks.png")


def markdown(report: Report) -> str:
    """Return the page with a table for each model."""
    parts = [
        "# Benchmarks\n\nThese are the times of one machine, with random weights of the true architecture. The ratios "
        "also hold on other machines; those of warm requests hold on similar processors only.\n\n"
        f"`{report.command}`, {report.date}, on {machine()}. Each number is the median of {report.runs} fresh "
        "processes. The engines take turns. As root, the page cache is dropped before every start. *Cold* is the time "
        "from process start to the first image and first text embedding through `lambda_handler`. *x* is how many "
        "times better a number is than that of the plain recipe (open_clip, eager, fp32: `benchmarks/plain.py`) in "
        "the same run. Dollars are Lambda's list price in us-east-1 for warm requests of one item. They are for "
        "one processor or all (1,769 MB each), whichever is cheaper and has enough memory for the peak.\n\n"
        "![cold start and memory](benchmarks.png)\n"
    ]
    for model, contenders in report.models.items():
        parts += [f"\n## {model}\n\n{_table(contenders)}\n\n{_costs(contenders)}\n"]
        parts += [f"\nShare of this machine's {report.matrix_peak / 1e9:.0f} GFLOP/s in float32 products, one image: "]
        shares = {n: report.operations[model] / one.warm["image"] / report.matrix_peak for n, one in contenders.items()}
        parts += [", ".join(f"{name} {share:.0%}" for name, share in shares.items()) + ".\n"]
    return "".join(parts)


def _costs(contenders: dict[str, Medians]) -> str:
    rows = [["", "$ a million images", "at MB", "$ a million captions", "at MB"]]
    for name, one in contenders.items():
        row = [name]
        for workload in ("image", "caption"):
            seconds = {1: one.warm_on_one[workload], os.cpu_count() or 1: one.warm[workload]}
            found = cheapest(seconds, one.peak)
            row += [f"{found[0]:.2f}", str(found[1])] if found else ["-", "-"]
        rows.append(row)
    titan, _ = hosted(*HOSTED[TITAN])
    rows.append(["Amazon Bedrock Titan Multimodal, list price", f"{titan:.2f}", "", "", ""])
    return markdown_table(rows)


def _table(contenders: dict[str, Medians]) -> str:
    plain = contenders[PLAIN]
    workloads = list(plain.warm)
    head = ["", "cold s", "x", "before load s", "peak MB (cold)", "x", "read MB", "x"]
    head += [cell for name in workloads for cell in (f"{name} ms", "x")]
    rows = [head]
    for name, one in contenders.items():
        row = [name, f"{one.cold:.2f}", _ratio(plain.cold, one.cold), f"{one.before_load:.2f}"]
        row += [f"{one.cold_peak / 1e6:.0f}", _ratio(plain.cold_peak, one.cold_peak)]
        row += [f"{one.read / 1e6:.0f}", _ratio(plain.read, one.read)]
        for workload in workloads:
            items = int(workload.rpartition(" ")[2]) if workload[-1].isdigit() else 1
            row += [f"{one.warm[workload] / items * 1000:.1f}", _ratio(plain.warm[workload], one.warm[workload])]
        rows.append(row)
    return markdown_table(rows)


def _ratio(plain: float, ours: float) -> str:
    return f"{plain / ours:.1f}" if ours else "-"


def _draw(report: Report, path: Path) -> None:
    figure, axes = plt.subplots(len(report.models), 2, figsize=(10, 3.2 * len(report.models)), squeeze=False)
    for (model, contenders), (left, right) in zip(report.models.items(), axes, strict=True):
        names = list(contenders)
        for axis, values, unit in (
            (left, [one.cold for one in contenders.values()], "cold start, s"),
            (right, [one.cold_peak / 1e6 for one in contenders.values()], "peak memory, MB"),
        ):
            bars = axis.barh(names, values, color=["#999999", *["#2a7ab8"] * (len(names) - 1)])
            axis.bar_label(bars, fmt="%.2f" if unit[-1] == "s" else "%.0f", padding=3)
            axis.invert_yaxis()
            axis.set_xlim(0, max(values) * 1.15)
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_title(f"{model}: {unit}", loc="left", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=120, format="png")
    plt.close(figure)
