"""An image that code of the deployment's own made, as one comes of a file: see docs/api.md and docs/extending.md."""

import numpy as np
from PIL import Image

from handler.imaging.flatten import flatten

# Of modes whose colors are multiplied by their alpha, and of one whose indices Pillow would mix in a resize.
STRAIGHT = {"RGBa": "RGBA", "La": "LA", "PA": "RGBA"}


def as_decoded(image: Image.Image) -> Image.Image:
    """Return an image with transparency on white, and with 16-bit gray by its high byte.

    Raises what Pillow does of an image that was closed, or whose file cannot be read.
    """
    image.load()
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return flatten(image.convert(STRAIGHT[image.mode]) if image.mode in STRAIGHT else image)
