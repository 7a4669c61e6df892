"""The API's smaller outputs, made as docs/api.md says, and not by the handler's code: it is compared with them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def int8(vectors: Vectors) -> Vectors:
    """Return unit vectors [N, D] as 8-bit integers; `uint8` is the same with 128 added, and ranks alike."""
    scale = 127 / min(1.0, 8 / np.sqrt(vectors.shape[1]))
    return np.asarray(np.clip(np.rint(vectors * scale), -127, 127), np.float32)


def binary(vectors: Vectors) -> Vectors:
    """Return the bits as 1 and -1: their dot product ranks as the Hamming distance of `ubinary` and `binary` does."""
    return np.where(vectors > 0, 1, -1).astype(np.float32)


def as_api(vectors: Vectors, encoding: str) -> list[list[int]]:
    """Return what the API answers of unit vectors for "int8" or "binary": lists of integers."""
    if encoding == "int8":
        return [[int(number) for number in row] for row in int8(vectors)]
    packed = np.packbits(vectors > 0, axis=1).astype(np.int64) - 128
    return [[int(number) for number in row] for row in packed]


OUTPUTS: dict[str, Callable[[Vectors], Vectors]] = {"float": lambda vectors: vectors, "int8": int8, "binary": binary}
