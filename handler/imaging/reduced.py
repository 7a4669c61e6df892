"""Decoding a JPEG at a half, a quarter or an eighth of its size: libjpeg leaves out what a model would never see."""

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

Size = tuple[int, int]  # width, height
Box = tuple[float, float, float, float]  # left, top, right, bottom
Fit = Callable[[int, int], Size]  # an image's size -> its size when it was fitted to a model, before the crop

SCALES = (8, 4, 2)
LEAST_RATIO = 2  # of the decoded image to the fitted one, on both sides: docs/engines.md has the cosines of others
LEAST_SIDE = 448  # pixels: of fewer, decoding takes less than a millisecond, and small models see more of what is lost


class Decoded(NamedTuple):
    """An image as it was decoded, and the `size` of the whole one.

    `box` is where the whole one lies in it: a scale that does not divide the size leaves part of a pixel over.
    """

    image: Image.Image
    size: Size
    box: Box

    @property
    def reduced(self) -> bool:
        """Whether it has fewer pixels than the whole one."""
        return self.image.size != self.size


def scale_for(width: int, height: int, fit: Fit | None) -> int:
    """Return the divisor that an image is decoded with: the largest that leaves enough of it, 1 for none.

    Enough also where EXIF turns it.
    """
    if fit is None:
        return 1
    across, down = fit(width, height)
    down_turned, across_turned = fit(height, width)
    wanted = LEAST_RATIO * max(across, across_turned), LEAST_RATIO * max(down, down_turned)
    for scale in SCALES:
        if width >= wanted[0] * scale and height >= wanted[1] * scale and min(width, height) >= LEAST_SIDE * scale:
            return scale
    return 1


def draft(image: Image.Image, scale: int) -> None:
    """Have Pillow decode a JPEG, opened and not loaded yet, at that scale."""
    if scale > 1:
        image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
