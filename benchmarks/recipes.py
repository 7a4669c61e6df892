"""`python -m benchmarks.recipes`: every 8-bit recipe on trained weights, and on the same with outliers.

The model is the ViT of layer/demo. Prints how far its largest channels stand out, place by place, then the least cosine
to open_clip of each recipe, through the shipped handler: the tables of docs/engines.md.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from console.parser import Parser
from console.run import run
from layer.demo import snapshot, vit
from layer.errors import BuildError
from layer.spec import ModelSpec, Spec, Target

if TYPE_CHECKING:
    from layer.export.every_recipe import Exactness

ENGINES = ("onnx", "openvino")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    return run(lambda: _command(arguments), (BuildError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--hub", type=Path, default=snapshot.HUB, help="where the model is (default: %(default)s)")
    parser.add_argument("--chart", type=Path, help="draw the ratios: a .png or .svg")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="recipes-") as name:
        for line in report(snapshot.current(vit.REPOSITORY, options.hub), Path(name), options.chart):
            print(line, flush=True)


def report(trained: Path, scratch: Path, chart: Path | None) -> Iterator[str]:
    """Yield the lines of both tables for a model's folder, in Markdown."""
    from layer.demo.add_outliers import WANTED, write_with_outliers
    from layer.demo.outliers import measured, table

    folders = {"trained": trained, "with outliers": write_with_outliers(trained, scratch / "outliers", WANTED)}
    found = {name: measured(folder) for name, folder in folders.items()}
    if chart:
        from benchmarks.outlier_chart import draw

        draw(found, chart)
    for name, ratios in found.items():
        yield from (f"{name}:", "", *table(ratios), "")
    yield "| engine | recipe | " + " | ".join(f"{name}: image | text" for name in folders) + " |"
    yield "|---" * (2 + 2 * len(folders)) + "|"
    for engine in ENGINES:
        tried = [exactness(folder, engine, scratch / name) for name, folder in folders.items()]
        for row in zip(*tried, strict=True):
            yield f"| `{engine}` | {row[0].recipe} | {' | '.join(_shown(one) for one in row)} |"


def exactness(folder: Path, engine: str, scratch: Path) -> "list[Exactness]":
    """Return how exact each 8-bit recipe of an engine is on the model in a folder."""
    from layer.export.every_recipe import every_recipe
    from layer.sources.download import gather

    model = ModelSpec(f"hf-hub:openclip-lambda/{folder.name}", engine=engine, checkpoint=str(folder))
    spec = Spec(Target(), (model,))
    scratch.mkdir(exist_ok=True)
    [sources] = gather(spec.models, scratch / "cache", {})
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        return list(every_recipe(model, spec, sources, scratch / "cache", Path(place)))


def _shown(one: "Exactness") -> str:
    towers = ((one.image, one.image_required), (one.text, one.text_required))
    return " | ".join(f"{found:.5f}" if found >= least else f"**{found:.5f}, refused**" for found, least in towers)


if __name__ == "__main__":
    sys.exit(main())
