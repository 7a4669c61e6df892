"""Enlarge very narrow images as Pillow does, bit for bit, but compute only the pixels that the crop keeps."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MODES = ("L", "La", "RGB", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "LA", "PA", "RGBA")  # 8 bits a sample
BITS = 22  # of the weights, as integers: PRECISION_BITS of Pillow's Resample.c
BY_INDEX = ("1", "P")  # which Pillow resizes to the nearest pixel, whatever it is asked for
SUPPORT = {Image.Resampling.BICUBIC: 2, Image.Resampling.BILINEAR: 1}


def columns(image: Image.Image, width: int, left: int, right: int, how: Image.Resampling) -> Image.Image:
    """Do `image.resize((width, image.height), how).crop((left, 0, right, image.height))` where that enlarges."""
    if (left, right) == (0, width):
        return image.resize((width, image.height), how)
    turned = rows(image.transpose(Image.Transpose.TRANSPOSE), width, left, right, how)
    return turned.transpose(Image.Transpose.TRANSPOSE)


def nearest(image: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """Do `image.resize(size).crop(box)` for an image of BY_INDEX."""
    across = _places(image.width, size[0])[box[0] : box[2]]
    down = _places(image.height, size[1])[box[1] : box[3]]
    found = Image.fromarray(np.asarray(image)[down[:, None], across])
    canvas = image.crop((0, 0, *found.size))  # a crop, not a new image: keeps palette and transparency
    canvas.paste(found)
    return canvas


def _places(old: int, new: int) -> NDArray[np.int64]:
    """Return the old pixel of each new one, with the rounding of Pillow's Geometry.c: it adds up its steps."""
    step = old / new
    steps = np.full(new, step)
    steps[0] = step * 0.5
    return np.minimum(np.add.accumulate(steps).astype(np.int64), old - 1)


def rows(image: Image.Image, height: int, top: int, bottom: int, how: Image.Resampling) -> Image.Image:
    """Do `image.resize((image.width, height), how).crop((0, top, image.width, bottom))` where that enlarges."""
    samples = np.asarray(image).reshape(image.height, image.width, -1).astype(np.int64)
    support = SUPPORT[how]
    scale = image.height / height
    centers = (np.arange(top, bottom) + 0.5) * scale
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centers + support + 0.5).astype(np.int64), image.height)
    weights = np.zeros((2 * support + 1, bottom - top))
    total = np.zeros(bottom - top)
    for tap, row in enumerate(weights):
        row[:] = np.where(first + tap < end, _filter(first + tap - centers + 0.5, support), 0)
        total += row
    weights = np.where(total != 0, weights / np.where(total != 0, total, 1), weights)
    fixed = np.trunc(weights * (1 << BITS) + np.where(weights < 0, -0.5, 0.5)).astype(np.int64)
    sums = np.full((bottom - top, *samples.shape[1:]), 1 << (BITS - 1), np.int64)
    for tap, row in enumerate(fixed):
        sums += samples[np.minimum(first + tap, image.height - 1)] * row[:, None, None]
    found = np.clip(sums >> BITS, 0, 255).astype(np.uint8)
    return Image.frombytes(image.mode, (image.width, bottom - top), found.tobytes())


def _filter(x: NDArray[np.float64], support: int) -> NDArray[np.float64]:
    x = np.abs(x)
    if support == 1:
        return np.where(x < 1, 1 - x, 0)
    a = -0.5
    inner = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, inner, np.where(x < 2, outer, 0))
