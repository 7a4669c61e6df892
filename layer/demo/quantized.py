"""`python -m layer.demo.quantized`: what each format of smaller vectors costs in retrieval, on the demo model.

Every caption of a thing asks for its images among some thousands. The table is the one in docs/api.md. The integers are
made as that document says, and not by the handler's code.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from console.run import run
from layer.demo import rendering
from layer.demo.captions import LANGUAGES, caption
from layer.demo.evaluate import load
from layer.demo.shapes import THINGS
from layer.errors import BuildError
from layer.quality.encodings import binary, int8

SEED, IMAGES, NEAREST = 7, 4_000, 10
HUB = Path(__file__).with_name("hub") / "models--openclip-lambda--shapes-i18n"
Vectors = NDArray[np.float32]


FORMATS: dict[str, tuple[str, Callable[[Vectors], Vectors]]] = {
    "`float`, `base64`": ("4 x D", lambda vectors: vectors),
    "`int8`, `uint8`": ("D", int8),
    "`binary`, `ubinary`": ("D / 8", binary),
}


def nearest(queries: Vectors, images: Vectors) -> NDArray[np.int64]:
    """Return the places [Q, NEAREST] of the images with the largest dot products, or cosines of integers."""
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    return np.argsort(-(queries @ images.T), axis=1, kind="stable")[:, :NEAREST]


def table() -> list[str]:
    """Measure, and return the rows of the document's table."""
    embedder = load(f"local-dir:{HUB / 'snapshots' / (HUB / 'refs' / 'main').read_text()}")
    drawn = [rendering.single(SEED, number) for number in range(IMAGES)]
    images = embedder.images([image for image, _ in drawn]).numpy()
    shown = np.array([THINGS.index(scene[0]) for _, scene in drawn])
    captions = [caption([thing], language) for language in LANGUAGES for thing in THINGS]
    texts, wanted = embedder.texts(captions).numpy(), np.tile(np.arange(len(THINGS)), len(LANGUAGES))
    exact, rows = nearest(texts, images), []
    for name, (size, shrink) in FORMATS.items():
        found = nearest(shrink(texts), shrink(images))
        right = float((shown[found] == wanted[:, None]).mean())
        same = float(np.mean([len(set(one) & set(other)) / NEAREST for one, other in zip(exact, found, strict=True)]))
        rows.append(f"| {name} | {size} | {right:.1%} | {same:.1%} |")
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    return run(lambda: print("\n".join(table())), (BuildError,))


if __name__ == "__main__":
    sys.exit(main())
