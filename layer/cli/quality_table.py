"""A quality certificate as people read it: an output a row, open_clip's first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from layer.bundle.quality_records import Certificate, Figure
from layer.cli import columns
from layer.findings.printable import printable

if TYPE_CHECKING:
    from layer.quality.data import LeftOut

MAX_SHOWN = 20
SHOWN = {
    "open_clip": "open_clip in fp32",
    "float": "this engine",
    "int8": "this engine, int8 output",
    "binary": "this engine, binary output",
}


def show(model: str, made: Certificate) -> None:
    """Print the figures in percent, each with its interval, and what each output loses to open_clip."""
    said = "captions" if made.kind == "pairs" else f"classes as {', '.join(repr(one) for one in made.templates)}"
    sample = f" of {made.given:,}" if made.given > made.images else ""
    print(f"\n{model} on {made.data}: {made.images:,}{sample} images, {made.texts:,} {said}")
    columns.show(
        ("measured", "of", "%", f"{made.confidence:.0%} interval", "lost to open_clip", "interval"),
        (_row(figure) for figure in made.figures),
    )
    print(f"{made.resamples:,} resamples of the images, seed {made.seed}; losses in points, paired", end="")
    print(f"; {made.left_out:,} left out" if made.left_out else "")


def _row(figure: Figure) -> tuple[str, ...]:
    share = (f"{figure.value:.2%}"[:-1], f"{figure.low:.2%} to {figure.high:.2%}".replace("%", ""))
    name = SHOWN.get(figure.output, figure.output)
    if figure.output == "open_clip":
        return figure.metric, name, *share, "", ""
    return (
        figure.metric,
        name,
        *share,
        f"{figure.loss * 100:+.2f}",
        f"{figure.loss_low * 100:+.2f} to {figure.loss_high * 100:+.2f}",
    )


def show_left_out(left_out: "Sequence[LeftOut]") -> None:
    """Print what could not be used, and why."""
    for one in left_out[:MAX_SHOWN]:
        print(f"left out: {printable(one.what)}: {printable(one.reason)}")
    if len(left_out) > MAX_SHOWN:
        print(f"and {len(left_out) - MAX_SHOWN:,} more: --json lists all")
