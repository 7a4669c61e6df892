"""What the fast engines share: a model as two exported towers, a token table and a tokenizer."""

import threading
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handler.engines.packed_texts import cut, pack
from handler.engines.parallel_load import Started, load_in_parallel
from handler.engines.token_table import TokenTable, text_inputs
from handler.manifest import IMAGE, TEXT, ModelEntry

if TYPE_CHECKING:
    from handler.engines.tokenizer import Tokenizer


class Tower(Protocol):
    """One tower, loaded by an engine."""

    @property
    def inputs(self) -> Container[str]:
        """The names of its inputs: `pixels`; or `ids`, `rows` or both, a causal text tower's with those of `Packed`."""

    @property
    def variant(self) -> str:
        """How this processor computes it."""

    def __call__(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        """Run the tower on an array for each name of `inputs`; returns float32 [N, D], or [B, K, D] (`Packed`)."""


class TwoTowerEngine:
    """Any model that could be exported, at fp32 or with 8-bit weights. Neither torch nor open_clip is needed.

    A tower is loaded when it is first needed: most functions see images only, or texts only.
    """

    def __init__(
        self, entry: ModelEntry, folder: Path, image: Callable[[Started], Tower], text: Callable[[Started], Tower]
    ) -> None:
        self._export = entry.export or {}
        self._entry, self._folder = entry, folder
        self._makers = {IMAGE: image, TEXT: text}
        self.towers: dict[str, Tower] = {}
        self._tokenizer: Tokenizer | None = None
        self._loading = threading.Lock()

    def load(self, modalities: Collection[str]) -> None:
        """Load the missing towers of these modalities, in parallel. Raises the first failure."""
        with self._loading:
            missing = [modality for modality in modalities if modality not in self.towers]
            if not missing:
                return
            towers, tokenizer = load_in_parallel(
                [self._makers[modality] for modality in missing], self._read_tokenizer if TEXT in missing else None
            )
            if tokenizer:
                self._table = TokenTable(self._folder) if self._export["token_table"] else None
                self._tokenizer = tokenizer
            self.towers |= zip(missing, towers, strict=True)

    def variants(self) -> dict[str, str]:
        """Return, by modality, how this processor computes each loaded tower."""
        return {modality: tower.variant for modality, tower in dict(self.towers).items()}

    def _read_tokenizer(self) -> "Tokenizer":
        from handler.engines.tokenizer import Tokenizer  # late: an image needs none

        return Tokenizer(self._folder / "tokenizer.json", self._entry.tokenizer)

    def tokenizer_files(self) -> list[Path]:
        """Return the files of the tokenizer, to be read ahead."""
        if self._entry.tokenizer.get("vocabulary") or self._entry.tokenizer.get("longest_piece"):
            return [self._folder / "tokenizer.rules.json", *sorted(self._folder.glob("vocabulary.*.npy"))]
        return [self._folder / "tokenizer.json"]

    def _tower(self, modality: str) -> Tower:
        if modality not in self.towers:
            self.load((modality,))
        return self.towers[modality]

    def tokenize(self, texts: Sequence[str], cut: str | None = None) -> NDArray[np.int64]:
        """Return open_clip's own token ids: int64 [N, context_length]."""
        self._tower(TEXT)
        assert self._tokenizer  # noqa: S101 - it is loaded with the text tower
        return self._tokenizer(texts, cut)

    def encode_tokens(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embed token ids [N, context_length] as float32 [N, D]."""
        text = self._tower(TEXT)
        end_id = self._export["end_id"]
        if "ends" not in text.inputs:
            some = cut(ids, end_id) if self._export["causal_text"] else ids
            return text(text_inputs(some, self._table, text.inputs))
        packed = pack(ids, end_id)
        found = [text(text_inputs(some, self._table, text.inputs) | feed) for some, feed in packed.runs()]
        vectors = np.concatenate(found)
        return vectors.reshape(-1, vectors.shape[-1])[packed.picked]

    def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed normalized pixels, float32 [N, 3, H, W], as float32 [N, D]."""
        return self._tower(IMAGE)({"pixels": np.ascontiguousarray(pixels)})
