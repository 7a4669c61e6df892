"""The token table of a text tower, outside of its graph: mapped into memory, so that a text reads only its own rows."""

import mmap
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TokenTable:
    """One row a token of the vocabulary: float32 [V, D], or int8 with a scale for each block of a row."""

    def __init__(self, folder: Path) -> None:
        self._rows = _mapped(folder / "text.table.npy")
        in_8_bits = self._rows.dtype == np.int8
        self._scales = _mapped(folder / "text.table.scales.npy") if in_8_bits else None

    def __call__(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the rows of token ids [N, L] as float32 [N, L, D]."""
        rows = np.asarray(self._rows[ids])
        if self._scales is None:
            return rows
        blocks = rows.reshape(*ids.shape, self._scales.shape[1], -1)
        scaled: NDArray[np.float32] = blocks * np.asarray(self._scales[ids])[..., None]
        return scaled.reshape(rows.shape)


def _mapped(path: Path) -> NDArray[Any]:
    rows = np.load(path, mmap_mode="r")
    rows.base.madvise(mmap.MADV_RANDOM)  # a text uses a few rows anywhere: reading ahead would be wasted
    return np.asarray(rows)


def text_inputs(ids: NDArray[np.int64], table: TokenTable | None, inputs: Container[str]) -> "dict[str, NDArray[Any]]":
    """Return the inputs of a text graph for ids [N, L]: the ids, their rows [N, L, D], or both, as `inputs` names."""
    feed: dict[str, NDArray[Any]] = {"ids": np.ascontiguousarray(ids)} if "ids" in inputs else {}
    if table is not None:
        feed["rows"] = table(ids)
    return feed
