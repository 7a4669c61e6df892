"""A run's files: <date>.json, the same as a table (<date>.md), and a chart (<date>.png)."""

import functools
import itertools
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.measure import results
from benchmarks.measure.account import AWS
from benchmarks.pages import replace_file

mpl.use("Agg")

import matplotlib.pyplot as plt

HEAD = (
    ["memory", "init ms", "first request ms", "restore ms", "first request ms", "peak MB"],
    ["memory", "workload", "ms an item", "billed ms an item", "$ a million items"],
    ["memory", "at once", "items a second", "request ms", "requests", "refused", "failed"],
)
COLORS = ("#2a7ab8", "#2e9e5b", "#d9822b")
COLD: dict[str, Any] = {
    "init": lambda row: row["init"]["init_ms"],
    "restore": lambda row: row["restore"]["restore_ms"],
    "first request": lambda row: row["init"]["first_request_ms"],
}
WARM = ("ms_per_item", "dollars_per_million")
ENDS = ("p20", "median", "p95")


def write(content: dict[str, Any], folder: Path, name: str) -> None:
    """Write the three files; each is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{name}.json", results.encoded(content))
    replace_file(folder / f"{name}.md", markdown(content, name).encode())
    aside = folder / f".{name}.png"
    try:
        draw(content, aside)
        aside.replace(folder / f"{name}.png")
    finally:
        aside.unlink(missing_ok=True)


def label(content: dict[str, Any]) -> str:
    """Say where the figures are from."""
    if content["platform"] == AWS:
        return f"measured on AWS, {content['region']}, {content['date']}"
    return f"EMULATOR, not AWS: times of one machine, {content['date']}"


def markdown(content: dict[str, Any], name: str) -> str:
    """Return the page: medians, with the 20th and 95th percentiles in brackets."""
    parts = [f"# Measurements: {label(content)}\n\n![chart]({name}.png)\n"]
    parts += ["\nMedian (20th - 95th percentile). A dash is a figure that was not measured; the reasons are below.\n"]
    if not content["complete"]:
        parts += ["\n**Incomplete**: the run ended before all of it was measured.\n"]
    for target in content["targets"]:
        models = ", ".join(f"{one['id']} ({one['engine']}, {one['precision']})" for one in target["models"])
        parts += [f"\n## {target['shape']}, {target['architecture']}: {models}\n"]
        parts += [f"\nmanifest {target['manifest_sha256']}, package {target['package_sha256']}\n"]
        for head, rows in zip(HEAD, (_starts(target), _warm(target), _busy(target)), strict=True):
            lines = [head, ["---"] * len(head), *rows]
            parts += ["\n", *(f"| {' | '.join(row)} |\n" for row in lines)]
        parts += ["\n", *(f"- `{key}`: {reason}\n" for key, reason in target["reasons"].items())]
    return "".join(parts)


def _starts(target: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{row['memory_mb']:,}",
            _shown(row["init"]["init_ms"]),
            _shown(row["init"]["first_request_ms"]),
            _shown(row["restore"]["restore_ms"]),
            _shown(row["restore"]["first_request_ms"]),
            f"{row['init']['max_memory_mb'] or '-'}",
        ]
        for row in target["memory"]
    ]


def _warm(target: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{row['memory_mb']:,}",
            kind["workload"],
            _shown(kind["ms_per_item"]),
            _shown(kind["billed_ms_per_item"]),
            "-" if kind["dollars_per_million"] is None else f"{kind['dollars_per_million']:.2f}",
        ]
        for row in target["memory"]
        for kind in row["warm"]
    ]


def _busy(target: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{row['memory_mb']:,}",
            str(level["at_once"]),
            "-" if level["items_per_second"] is None else f"{level['items_per_second']:.1f}",
            _shown(level["request_ms"]),
            *(str(level[key]) for key in ("requests", "refused", "failed")),
        ]
        for row in target["memory"]
        for level in row["concurrency"]
    ]


def _shown(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return "-"
    return f"{figure['median']:,.1f} ({figure['p20']:,.1f} - {figure['p95']:,.1f}), n={figure['n']}"


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw each target's cold starts, warm requests, dollars and throughput; what is null is named as not measured."""
    targets = content["targets"]
    figure, axes = plt.subplots(2 * len(targets), 2, figsize=(11, 0.6 + 6.4 * len(targets)), squeeze=False)
    for number, target in enumerate(targets):
        kind, rows = f"{target['shape']}, {target['architecture']}", target["memory"]
        (cold, warm), (dollars, busy) = axes[2 * number], axes[2 * number + 1]
        names = dict.fromkeys(one["workload"] for row in rows for one in row["warm"])
        of = {key: {name: functools.partial(_of_workload, name, key) for name in names} for key in WARM}
        _bars(cold, rows, COLD, f"{kind}: cold start, ms")
        _bars(warm, rows, of["ms_per_item"], f"{kind}: warm, ms an item")
        _bars(dollars, rows, of["dollars_per_million"], f"{kind}: $ a million items, Lambda alone")
        _lines(busy, rows, f"{kind}: items a second by callers at once")
    figure.suptitle(label(content), color="#000000" if content["platform"] == AWS else "#c0392b", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


def _of_workload(name: str, key: str, row: dict[str, Any]) -> Any:
    return next((one[key] for one in row["warm"] if one["workload"] == name), None)


def _lines(axis: "plt.Axes", rows: list[dict[str, Any]], title: str) -> None:
    for row, color in zip(rows, itertools.cycle(COLORS), strict=False):
        points = [(one["at_once"], one["items_per_second"]) for one in row["concurrency"]]
        there = [(level, rate) for level, rate in points if rate is not None]
        said = f"{row['memory_mb']:,} MB" + ("" if there else ": not measured")
        axis.plot([level for level, _ in there], [rate for _, rate in there], "o-", color=color, label=said)
    _finish(axis, title)


def _finish(axis: "plt.Axes", title: str) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(title, loc="left", fontsize=10)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=8, frameon=False)


def _bars(axis: "plt.Axes", rows: list[dict[str, Any]], kinds: dict[str, Any], title: str) -> None:
    width = 0.8 / max(len(kinds), 1)
    for number, (name, of) in enumerate(kinds.items()):
        places = [place + (number - (len(kinds) - 1) / 2) * width for place in range(len(rows))]
        found = [of(row) for row in rows]
        there = [(place, one) for place, one in zip(places, found, strict=True) if one]
        plain = {"n": 1}  # a figure without percentiles
        full = [one if isinstance(one, dict) else plain | dict.fromkeys(ENDS, one) for _, one in there]
        error = [[one["median"] - one["p20"] for one in full], [one["p95"] - one["median"] for one in full]]
        heights, said = [one["median"] for one in full], name if there else f"{name}: not measured"
        bars = axis.bar([place for place, _ in there], heights, width, yerr=error, color=COLORS[number % 3], label=said)
        axis.bar_label(bars, fmt="%.3g", fontsize=7)
    axis.set_xticks(range(len(rows)), [f"{row['memory_mb']:,} MB" for row in rows])
    axis.set_xlim(-0.6, len(rows) - 0.4)
    _finish(axis, title)
