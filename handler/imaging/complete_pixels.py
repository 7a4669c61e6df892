"""Decode an image, and check that the file had every pixel: Pillow does not report missing ones."""

import os

import numpy as np
from PIL import Image

from handler.imaging.container import Container, damaged

Fill = int | tuple[int, ...]
BYTES = {"LA": 2, "RGB": 3, "RGBA": 4}  # of a pixel with several bands


def load_whole(container: Container, box: tuple[int, int, int, int]) -> Image.Image:
    """Decode the image whose pixels are to fill `box`. Raises ImageError truncated_image.

    The image is filled with a color first, and decoded over it. If the last rows still have that color somewhere, the
    image is decoded again over another color: only pixels that are missing in the file change. The colors are random,
    so that nobody can make images that always have to be decoded twice.
    """
    left, _, right, bottom = box
    last = (left, max(box[1], bottom - 2), right, bottom)  # two rows contain pixels of every pass of interlacing
    first, second = _fills(container.open().mode)
    image = _load(container, first)
    rows = np.asarray(image.crop(last))
    if not (rows == np.asarray(first, rows.dtype)).reshape(*rows.shape[:2], -1).all(axis=2).any():
        return image
    del image
    image = _load(container, second)
    if not np.array_equal(rows, np.asarray(image.crop(last))):
        damaged(container.kind, "its last pixels are missing")
    return image


def _fills(mode: str) -> tuple[Fill, Fill]:
    if mode == "1":
        return 0, 255
    noise = os.urandom(BYTES.get(mode, 1))
    if mode in BYTES:
        return tuple(noise), tuple(byte ^ 0xFF for byte in noise)
    return noise[0], noise[0] ^ 0xFF


def _load(container: Container, fill: Fill) -> Image.Image:
    image = container.open()
    image.im = Image.new(image.mode, image.size, fill).im
    image.load()
    return image
