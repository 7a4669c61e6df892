"""Draw what was measured: a dot for each output, with its interval, beside open_clip's."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from layer.quality.evaluate import Result

mpl.use("Agg")

import matplotlib.pyplot as plt

COLORS = {"open_clip": "#555555", "float": "#2a7ab8", "int8": "#2e9e5b", "binary": "#d9822b"}
NAMES = {
    "open_clip": "open_clip, fp32",
    "float": "engine",
    "int8": "engine, int8 output",
    "binary": "engine, binary output",
}


def draw(results: Sequence[Result], path: Path) -> None:
    """Write a chart, a panel for each result, as its suffix says; the file that was there stays until it is whole."""
    plt.rcParams["svg.hashsalt"] = "openclip-lambda"
    height = sum(1 + 0.62 * len(_metrics(one)) for one in results) + 0.4
    ratios = [1 + 0.62 * len(_metrics(one)) for one in results]
    figure, axes = plt.subplots(
        len(results), 1, figsize=(8, height), squeeze=False, gridspec_kw={"height_ratios": ratios}
    )
    for result, axis in zip(results, axes[:, 0], strict=True):
        _panel(result, axis)
    figure.tight_layout()
    aside = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(aside, dpi=120, format=path.suffix[1:])
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
        plt.close(figure)


def _metrics(result: Result) -> list[str]:
    return list(dict.fromkeys(figure.metric for figure in result.certificate.figures))


def _panel(result: Result, axis: "plt.Axes") -> None:
    made, metrics, outputs = result.certificate, _metrics(result), list(COLORS)
    for figure in made.figures:
        place, shift = metrics.index(figure.metric), (outputs.index(figure.output) - 1.5) * 0.18
        error = [[max(figure.value - figure.low, 0)], [max(figure.high - figure.value, 0)]]
        axis.errorbar(
            figure.value * 100,
            place + shift,
            xerr=[[side * 100 for side in end] for end in error],
            fmt="o",
            markersize=4,
            capsize=2,
            color=COLORS[figure.output],
            label=NAMES[figure.output] if place == 0 else None,
        )
    axis.set_yticks(range(len(metrics)), metrics)
    axis.invert_yaxis()
    axis.set_xlabel(f"%, with intervals of {made.confidence:.0%} from {made.resamples:,} resamples")
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    said = "captions" if made.kind == "pairs" else "classes"
    axis.set_title(
        f"{result.model}, {result.engine}: {made.images:,} images, {made.texts:,} {said}", loc="left", fontsize=10
    )
    axis.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(1.0, 0.0))
