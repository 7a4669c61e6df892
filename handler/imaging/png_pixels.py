"""Decode a PNG: check that it has all pixels, and convert 16-bit gray as viewers show it, which Pillow does not."""

import numpy as np
from PIL import Image

from handler.imaging.complete_pixels import load_whole
from handler.imaging.container import Container, unsupported
from handler.imaging.flatten import flatten
from handler.imaging.png_header import GRAY, Header


def load(container: Container, header: Header) -> Image.Image:
    """Decode a PNG. Raises ImageError truncated_image or unsupported_image_format."""
    image = load_whole(container, (0, 0, header.width, header.height))
    if image.mode == "I;16":
        return _to_8_bits(image)
    if header.color == GRAY and header.depth in (2, 4) and "transparency" in image.info:
        image.info["transparency"] *= 255 // (2**header.depth - 1)  # Pillow scales the pixels, and not this
    return flatten(image)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Keep the high byte, as Pillow does for colors: its conversion of 16-bit gray would make nearly everything white.

    Raises ImageError unsupported_image_format if different samples would all become the same gray.
    """
    samples = np.asarray(image)
    gray = Image.fromarray((samples >> 8).astype(np.uint8))
    darkest, lightest = gray.getextrema()
    if darkest == lightest and samples.min() != samples.max():
        span = f"a 16-bit gray PNG of samples from {samples.min():,} to {samples.max():,}"
        unsupported(span, "they are one gray to a viewer. Stretch them over 0 to 65,535, or save them with 8 bits")
    if "transparency" not in image.info:
        return gray
    with_alpha = Image.merge("LA", (gray, Image.fromarray(samples != image.info["transparency"]).convert("L")))
    del samples, gray  # what follows takes 8 bytes a pixel
    return flatten(with_alpha)
