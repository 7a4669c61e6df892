"""Decode a large JPEG at a half, a quarter or an eighth of its size: libjpeg skips details that no model sees."""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

Size = tuple[int, int]  # width, height
Box = tuple[float, float, float, float]  # left, top, right, bottom
Fit = Callable[[int, int], Size]  # from an image's size to its size after the model's resize, before the crop

EIGHTH = 8  # each block of a JPEG is one pixel
SCALES = (EIGHTH, 4, 2)
MIN_RATIO = 2  # of the decoded to the resized image, on both sides; docs/engines.md has the cosines for other ratios
MIN_SIDE = 448  # pixels of the decoded image: smaller ones would save less than a millisecond, and lose more


class Decoded(NamedTuple):
    """A decoded image, and the `size` of the image in full.

    `box` is the part of the decoded image that the full one covers: if the scale does not divide the size, the last
    pixels are covered only in part.
    """

    image: Image.Image
    size: Size
    box: Box

    @property
    def reduced(self) -> bool:
        """Whether it was decoded at a reduced scale."""
        return self.image.size != self.size


def scale_for(width: int, height: int, fit: Fit | None) -> int:
    """Return the divisor for decoding an image, from SCALES: the largest that leaves enough pixels; 1 for none.

    It leaves enough whether EXIF turns the image or not.
    """
    if fit is None:
        return 1
    across, down = fit(width, height)
    down_turned, across_turned = fit(height, width)
    wanted = MIN_RATIO * max(across, across_turned), MIN_RATIO * max(down, down_turned)
    for scale in SCALES:
        if width >= wanted[0] * scale and height >= wanted[1] * scale and min(width, height) >= MIN_SIDE * scale:
            return scale
    return 1


def draft(image: Image.Image, scale: int) -> None:
    """Set the scale at which Pillow will decode a JPEG that is open, and not loaded yet."""
    if scale > 1:
        image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
