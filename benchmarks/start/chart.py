"""Draw the steps of starts as stacked bars: one bar for each engine and request, a panel for each model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.start.steps import STEPS

mpl.use("Agg")

import matplotlib.pyplot as plt

# Steps of one kind have shades of one color: Python grey, libraries blue, towers orange and green, the request red.
COLORS = dict(
    zip(
        STEPS,
        [
            *("#4d4d4d", "#808080", "#b3b3b3"),
            *("#9ecae1", "#2a7ab8", "#08306b"),
            *("#8c510a", "#d9822b", "#f5c48a", "#2e8b57", "#a3d9b5"),
            *("#756bb1", "#cb181d", "#fb8072", "#fcd0c9", "#eeeeee"),
        ],
        strict=True,
    )
)
TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10}
APART = 3  # times slower than a model's quickest engine

Key = tuple[str, ...]  # model, engine, request


def draw(found: Mapping[Key, Mapping[str, float]], path: Path) -> None:
    """Write the chart of the seconds of each step, by (model, engine, request)."""
    panels = [panel for model in dict.fromkeys(bar[0] for bar in found) for panel in _panels(found, model)]
    rows = [len(panel) for panel in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(11, 1.2 + 0.34 * sum(rows) + 0.75 * len(rows)), squeeze=False, height_ratios=rows
    )
    for panel, axis in zip(panels, axes[:, 0], strict=True):
        _draw_panel(panel, axis)
        axis.set_title(f"{next(iter(panel))[0]}: seconds until the first answer", **TITLE)
    drawn = [name for name in STEPS if any(steps[name] for steps in found.values())]
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLORS[name]) for name in drawn]
    figure.tight_layout(rect=(0, 1.0 / figure.get_figheight(), 1, 1), h_pad=1.5)
    figure.legend(handles, drawn, loc="lower center", ncols=5, fontsize=9, frameon=False)
    figure.savefig(path, dpi=120, format="png")
    plt.close(figure)


def _panels(found: Mapping[Key, Mapping[str, float]], model: str) -> list[dict[Key, Mapping[str, float]]]:
    """Return a model's bars, those of engines that are many times slower apart: on one axis, the others were dots."""
    own = {bar: steps for bar, steps in found.items() if bar[0] == model}
    wholes: dict[str, float] = {}
    for bar, steps in own.items():
        wholes[bar[1]] = max(wholes.get(bar[1], 0.0), sum(steps.values()))
    slow = {engine for engine, whole in wholes.items() if whole > APART * min(wholes.values())}
    parts = [{bar: steps for bar, steps in own.items() if (bar[1] in slow) is apart} for apart in (False, True)]
    return [part for part in parts if part]


def _draw_panel(found: Mapping[Key, Mapping[str, float]], axis: plt.Axes) -> None:
    names = [f"{engine}, {case}" for _, engine, case in found]
    left = [0.0] * len(names)
    wholes = [sum(steps.values()) for steps in found.values()]
    for step in STEPS:
        widths = [steps[step] for steps in found.values()]
        bars = axis.barh(names, widths, left=left, color=COLORS[step], edgecolor="white", linewidth=0.4)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.bar_label(bars, [f"{whole:.2f}" for whole in wholes], padding=3)
    axis.invert_yaxis()
    axis.set_xlim(0, max(wholes) * 1.07)
    axis.spines[["top", "right"]].set_visible(False)
