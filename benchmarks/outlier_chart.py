"""Draw how far the largest channel stands out, place by place, of two models in one chart."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

from layer.demo.outliers import KINDS, RESIDUAL, Place

mpl.use("Agg")

import matplotlib.pyplot as plt

COLORS = ("#2a7ab8", "#d9822b")


def draw(found: Mapping[str, Mapping[Place, float]], path: Path) -> None:
    """Write the chart, a panel for each tower."""
    plt.rcParams["svg.hashsalt"] = "openclip-lambda"
    places = list(next(iter(found.values())))
    towers = list(dict.fromkeys(place.tower for place in places))
    figure, axes = plt.subplots(1, len(towers), figsize=(11, 4), sharey=True, squeeze=False)
    for tower, axis in zip(towers, axes[0], strict=True):
        own = [place for place in places if place.tower == tower]
        for (name, ratios), color in zip(found.items(), COLORS, strict=True):
            for kind, mark in zip(KINDS, "x.^s+D", strict=True):
                at = [place for place in own if place.kind == kind]
                blocks = [len({one.block for one in own}) if place.block is None else place.block + 1 for place in at]
                line = "--" if kind == RESIDUAL else "-"
                label = f"{kind}, {name}"
                axis.plot(blocks, [ratios[place] for place in at], line, marker=mark, color=color, lw=0.8, label=label)
        axis.set_yscale("log")
        axis.set_title(f"{tower} tower", loc="left", fontsize=10)
        axis.set_xlabel("block")
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("largest channel : median channel")
    axes[0, -1].legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
