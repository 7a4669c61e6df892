"""The API's smaller outputs, made as docs/api.md says, and not by the handler's code: it is compared with them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
SAME = 2e-5  # of a unit vector's number, computed twice


def int8(vectors: Vectors) -> Vectors:
    """Return unit vectors [N, D] as 8-bit integers; `uint8` is the same with 128 added, and ranks alike."""
    scale = 127 / min(1.0, 8 / np.sqrt(vectors.shape[1]))
    return np.asarray(np.clip(np.rint(vectors * scale), -127, 127), np.float32)


def binary(vectors: Vectors) -> Vectors:
    """Return the bits as 1 and -1: their dot product ranks as the Hamming distance of `ubinary` and `binary` does."""
    return np.where(vectors > 0, 1, -1).astype(np.float32)


def answers(rows: list[list[int]], vectors: Vectors, encoding: str) -> bool:
    """Tell whether `rows` is what the API answers of unit vectors for "int8" or "binary".

    An engine that computes the same texts twice may differ in the last bits: a number that is as near to the next one
    may be that, and a bit of what is nearly 0 may be either.
    """
    if [len(row) for row in rows] != [_numbers(vectors.shape[1], encoding)] * len(vectors):
        return False
    given = np.array(rows)
    if encoding == "int8":
        scale = 127 / min(1.0, 8 / np.sqrt(vectors.shape[1]))
        return bool((np.abs(given - np.clip(vectors * scale, -127, 127)) <= 0.5 + SAME * scale).all())
    bits = np.unpackbits((given + 128).astype(np.uint8), axis=1)[:, : vectors.shape[1]]
    return bool(((bits == (vectors > 0)) | (np.abs(vectors) < SAME)).all())


def _numbers(dimensions: int, encoding: str) -> int:
    return dimensions if encoding == "int8" else -(-dimensions // 8)


OUTPUTS: dict[str, Callable[[Vectors], Vectors]] = {"float": lambda vectors: vectors, "int8": int8, "binary": binary}
