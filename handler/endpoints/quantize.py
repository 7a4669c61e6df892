"""Vectors in fewer bytes: 8 bits or 1 bit a dimension, by a scale that depends only on the number of dimensions.

So vectors of different requests and deployments of a model can be compared. `python -m layer.demo.quantized` measures
what each format loses in retrieval; docs/api.md has the table.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDEST = 8  # a dimension of a unit vector, in units of 1 / sqrt(D), that becomes the largest 8-bit number


def scale(dimensions: int) -> float:
    """Return the factor for the dimensions of a unit vector as int8: 127 / min(1, 8 / sqrt(D))."""
    return float(127 / min(1.0, WIDEST / np.sqrt(dimensions)))


def quantized(vectors: NDArray[np.float32], kind: str) -> NDArray[Any]:
    """Return unit vectors [N, D] as integers.

    int8 [N, D] is x * scale(D), rounded to the nearest and held to -127..127; uint8 is that + 128. ubinary
    [N, ceil(D / 8)] has a bit for each dimension, 1 where it is above 0, the first in the highest place; binary is
    that - 128, as int8.
    """
    if kind in ("binary", "ubinary"):
        bits: NDArray[Any] = np.packbits(vectors > 0, axis=1)
        return bits if kind == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    numbers: NDArray[Any] = np.clip(np.rint(vectors * scale(vectors.shape[1])), -127, 127).astype(np.int16)
    return numbers.astype(np.int8) if kind == "int8" else (numbers + 128).astype(np.uint8)


def as_base64(row: NDArray[Any]) -> str:
    """Return a vector's bytes, little-endian, as base64."""
    little = row.astype(row.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")
