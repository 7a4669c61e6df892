"""`python -m layer.demo.quality_data FOLDER`: images and captions to try `python -m layer evaluate` on the demo model.

Pairs: images of two things, each with an English and a Chinese caption, in captions.csv. Classes: images of one thing
in a folder for each of the 64 things.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from console.parser import Parser
from console.run import run
from layer.demo import rendering
from layer.demo.captions import LANGUAGES, caption
from layer.errors import BuildError, StorageError

SEED = 17  # training and its measurements draw with others


def write_pairs(folder: Path, count: int) -> Path:
    """Draw `count` images of two things each into a folder; returns its captions.csv."""
    (folder / "images").mkdir(parents=True)
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["image", "caption"])
        for number in range(count):
            image, scene = rendering.twins(SEED, number // 2)[number % 2]
            name = f"images/{number:05d}.png"
            image.save(folder / name)
            # In one order: the same two things are the same caption, whichever was drawn first.
            rows.writerows([name, caption(sorted(scene), language)] for language in LANGUAGES)
    return folder / "captions.csv"


def write_labels(folder: Path, count: int) -> Path:
    """Draw `count` images of one thing each, in a folder for each thing; returns the folder of all."""
    for number in range(count):
        image, scene = rendering.single(SEED, number)
        phrase = caption(scene, "en", template=1)  # "a red circle"
        path = folder / "classes" / phrase.partition(" ")[2].replace(" ", "_") / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return folder / "classes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw both; returns the exit status."""
    return run(lambda: _command(arguments), (BuildError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.demo.quality_data", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2_000, help="of each (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.folder.exists():
        raise StorageError(f"{options.folder} is there already: name a folder that is not")
    print(f"{write_pairs(options.folder, options.count)}\n{write_labels(options.folder, options.count)}")


if __name__ == "__main__":
    sys.exit(main())
