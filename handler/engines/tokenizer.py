"""open_clip's tokenization, id for id, with the `tokenizers` library alone: no transformers, no open_clip, no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from handler.engines.text_cleaning import CLEAN


class Tokenizer:
    """A tokenizer.json with the settings that the manifest holds beside it."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._clean = CLEAN[settings["clean"]]
        self._length = int(settings["context_length"])
        self._pad = int(settings["pad_id"])
        self._settings = settings
        self._special: Mapping[str, int] = settings.get("special_tokens") or {}  # open_clip's own tokenizer's
        self._encode = {"simple": self._encode_simple, "hf": self._encode_hf, "clips": self._encode_clips}[
            settings["mode"] or settings["kind"]
        ]
        if self._encode == self._encode_hf:
            self._tokenizer.enable_truncation(self._length, direction=settings["truncation_side"])

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return token ids, int64 [N, context_length]. Raises TextError for a text that costs too much to clean."""
        ids = np.full((len(texts), self._length), self._pad, np.int64)
        for row, text in zip(ids, texts, strict=True):
            self._encode(self._clean(text), row)
        return ids

    def _encode_simple(self, text: str, row: NDArray[np.int64]) -> None:
        """Fill a row as open_clip's SimpleTokenizer does: whatever is cut off, the last token is end-of-text."""
        start, end = self._settings["bos_id"], self._settings["eos_id"]
        found = [start, *self._pieces(text), end]
        row[: len(found)] = found[: self._length]
        if len(found) > self._length:
            row[-1] = end

    def _pieces(self, text: str) -> list[int]:
        if not any(special in text for special in self._special):
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
            return ids
        # The specials are tokens only where the splitting leaves them alone ("<<start_of_text>" does not).
        ids = []
        for piece, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text):
            if piece in self._special:
                ids.append(self._special[piece])
            else:
                ids += [token.id for token in self._tokenizer.model.tokenize(piece)]
        return ids

    def _encode_hf(self, text: str, row: NDArray[np.int64]) -> None:
        """Fill a row as open_clip's HFTokenizer does, through transformers: padded on the tokenizer's own side."""
        found = np.array(self._tokenizer.encode(text).ids, np.int64)
        if self._settings["strip_sep_token"]:
            found[found == self._settings["sep_id"]] = 0
        if self._settings["padding_side"] == "left":
            row[len(row) - len(found) :] = found
        else:
            row[: len(found)] = found

    def _encode_clips(self, text: str, row: NDArray[np.int64]) -> None:
        """Fill a row as HFTokenizer's mode "clips" does: the class token stands last."""
        settings = self._settings
        inner = self._tokenizer.encode(text, add_special_tokens=False).ids[: self._length - 3]
        found = [settings["bos_id"], *inner, settings["eos_id"]]
        row[: len(found)] = found
        row[-1] = settings["cls_id"]
