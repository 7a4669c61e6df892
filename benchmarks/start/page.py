"""The page on a start's steps: a table for each model, and the chart."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.pages import machine, markdown_table, replace_file
from benchmarks.peers.results import percentile_20
from benchmarks.start.chart import draw
from benchmarks.start.steps import STEPS


class Start(NamedTuple):
    """One start: its seconds by the parent's clock, and those of its steps by its own."""

    whole: float
    steps: Mapping[str, float]


class Bar(NamedTuple):
    """What started, and what it was asked: `image`, `caption` or `both`."""

    model: str
    engine: str
    case: str


def median_start(starts: Sequence[Start]) -> Start:
    """Return the start whose time is the median: a real start, so that its steps add up to its time."""
    return sorted(starts)[(len(starts) - 1) // 2]


def start_at_percentile_20(starts: Sequence[Start]) -> Start:
    """Return the start whose time is the 20th percentile."""
    wanted = percentile_20([one.whole for one in starts])
    return next(one for one in starts if one.whole == wanted)


def write(found: Mapping[Bar, Sequence[Start]], command: str, date: str, folder: Path) -> None:
    """Write start.md and start.png; the files that were there stay until the new ones are complete."""
    aside = folder / ".start.png"
    draw({tuple(bar): median_start(starts).steps for bar, starts in found.items()}, aside)
    aside.replace(folder / "start.png")
    replace_file(folder / "start.md", markdown(found, command, date).encode())


def markdown(found: Mapping[Bar, Sequence[Start]], command: str, date: str) -> str:
    """Return the page."""
    runs = max(len(starts) for starts in found.values())
    cache = "The page cache was dropped before every start. " if os.geteuid() == 0 else ""
    parts = [
        "# A cold start, step by step\n\n"
        f"`{command}`, {date}, on {machine()}. Each bar is one of {runs} starts, the one whose time is the median. The "
        "bundles take turns. A start is a fresh process until the first answer of `lambda_handler`: to one photograph "
        f"of 640x480, to one caption, or to both at once. {cache}Lambda's own work before Python starts (fetching the "
        "package, starting the virtual machine) is not in it. `make bench` builds the bundles of `build/bench`. It "
        "does not make this page: that is what the command above does.\n\n"
        "![the steps of a start, for each engine and request](start.png)\n\n"
        "An engine that is many times slower has an axis of its own. "
        "A step is the time that a thread spends in it. Threads overlap: the model loads while the rest of the handler "
        "is imported. At a moment when several threads are at work, each step has its share of the time, so that "
        "the steps make the whole. A thread that waits for another is in no step.\n\n",
        markdown_table([["step", "what it does"], *([name, text] for name, text in STEPS.items())]),
    ]
    for model in dict.fromkeys(bar.model for bar in found):
        own = {bar: starts for bar, starts in found.items() if bar.model == model}
        parts.append(f"\n\n## {model}\n\nMilliseconds: the start that is the median / at the 20th percentile.\n\n")
        parts.append(_table(own))
    return "".join(parts) + "\n"


def _table(found: Mapping[Bar, Sequence[Start]]) -> str:
    rows = [["", *(f"{bar.engine}, {bar.case}" for bar in found)]]
    pairs = [(median_start(starts), start_at_percentile_20(starts)) for starts in found.values()]
    for step in STEPS:
        cells = [_cell(*(start.steps[step] for start in pair)) for pair in pairs]
        rows.append([step, *cells])
    rows.append(["**whole**", *(f"**{_cell(*(start.whole for start in pair))}**" for pair in pairs)])
    return markdown_table(rows, numbers=True)


def _cell(middle: float, fast: float) -> str:
    """Return both in milliseconds; a dash for a step that a start does not have, or not for half a millisecond."""
    return f"{middle * 1000:.0f} / {fast * 1000:.0f}" if max(middle, fast) >= 0.0005 else "-"
