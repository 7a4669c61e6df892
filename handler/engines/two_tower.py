"""What the fast engines share: a model of two exported towers, a token table and a tokenizer, whatever runs them."""

from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handler.engines.parallel_load import Started, load_in_parallel
from handler.engines.sequence_buckets import run_by_length
from handler.engines.token_table import TokenTable, text_inputs
from handler.engines.tokenizer import Tokenizer
from handler.manifest import ModelEntry


class Tower(Protocol):
    """One of the two, in the hands of an engine."""

    @property
    def inputs(self) -> Container[str]:
        """The names of what it takes."""

    def __call__(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        """Run the tower on a batch, given by the names in `inputs`; returns float32 [N, D]."""


class TwoTowerEngine:
    """Any model that could be exported, at fp32 or with 8-bit weights. Neither torch nor open_clip is needed."""

    def __init__(
        self, entry: ModelEntry, folder: Path, image: Callable[[Started], Tower], text: Callable[[Started], Tower]
    ) -> None:
        self._export = entry.export or {}
        self._image, self._text, self._tokenizer = load_in_parallel(
            image, text, lambda: Tokenizer(folder / "tokenizer.json", entry.tokenizer)
        )
        self._table = TokenTable(folder) if self._export["token_table"] else None

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return open_clip's own token ids: int64 [N, context_length]."""
        return self._tokenizer(texts)

    def encode_tokens(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embed token ids [N, context_length] as float32 [N, D]."""
        if not self._export["causal_text"]:
            return self._embed_ids(ids)
        return run_by_length(ids, self._export["end_id"], self._embed_ids)

    def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed normalized pixels, float32 [N, 3, H, W], as float32 [N, D]."""
        return self._image({"pixels": np.ascontiguousarray(pixels)})

    def _embed_ids(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._text(text_inputs(ids, self._table, self._text.inputs))
