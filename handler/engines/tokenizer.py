"""open_clip's tokenization, id for id, with the `tokenizers` library alone: no transformers, no open_clip, no torch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tokenizers
from numpy.typing import NDArray

from handler.engines.text_cleaning import CLEAN
from handler.errors import TextError

T = TypeVar("T")
# What happens to a text that is longer than the model reads: "none" is an error, "start" leaves out its first tokens,
# "end" its last ones. Where None is passed instead, the text is cut as open_clip cuts it.
CUTS = ("none", "start", "end")


class Tokenizer:
    """A tokenizer.json with its settings, the manifest's `tokenizer`."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        mapped, longest = settings.get("vocabulary"), settings.get("longest_piece")
        self._special: Mapping[str, int] = settings.get("special_tokens") or {}  # open_clip's own tokenizer's
        self._inner: Callable[[str], list[int]] = self._pieces
        if longest:
            from handler.engines.mapped_words import MappedWords  # late: only open_clip's own tokenizer needs it

            self._inner = MappedWords(path.parent, longest, self._special)
        elif mapped:
            from handler.engines.mapped_tokenizer import MappedTokenizer  # late: only large tokenizers need it

            self._own_ids: Callable[[str], list[int]] = MappedTokenizer(path.parent, mapped)
        else:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
            self._own_ids = lambda text: self._tokenizer.encode(text, add_special_tokens=False).ids
        self._clean = CLEAN[settings["clean"]]
        self._length = int(settings["context_length"])
        self._pad = int(settings["pad_id"])
        self._settings = settings
        self._encode = {"simple": self._encode_simple, "hf": self._encode_hf, "clips": self._encode_clips}[
            settings["mode"] or settings["kind"]
        ]
        self._whole = self._mapped_whole if mapped else self._library_whole

    def __call__(self, texts: Sequence[str], cut: str | None = None) -> NDArray[np.int64]:
        """Return token ids, int64 [N, context_length]; `cut` is one of tokenizer.CUTS.

        Raises TextError for a text that is too expensive to clean, or is too long if `cut` is "none".
        """
        ids = np.full((len(texts), self._length), self._pad, np.int64)
        for row, text in zip(ids, texts, strict=True):
            try:
                self._encode(self._clean(text), row, cut)
            except TextError as error:
                error.text = text
                raise
        return ids

    def _encode_simple(self, text: str, row: NDArray[np.int64], cut: str | None) -> None:
        """Fill a row as open_clip's SimpleTokenizer does: also of a text that is cut, the last token is end-of-text."""
        inner = fitted(self._inner(text), self._length - 2, cut, text)
        row[: len(inner) + 2] = [self._settings["bos_id"], *inner, self._settings["eos_id"]]

    def _pieces(self, text: str) -> list[int]:
        if not any(special in text for special in self._special):
            return self._own_ids(text)
        # A special is a token only if it is a piece by itself after splitting (in "<<start_of_text>" it is not).
        ids: list[int] = []
        for piece, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text):
            if piece in self._special:
                ids.append(self._special[piece])
            else:
                ids += [token.id for token in self._tokenizer.model.tokenize(piece)]
        return ids

    def _encode_hf(self, text: str, row: NDArray[np.int64], cut: str | None) -> None:
        """Fill a row as open_clip's HFTokenizer does, through transformers: padded on the tokenizer's own side."""
        found = np.array(self._whole(text, cut), np.int64)
        if self._settings["strip_sep_token"]:
            found[found == self._settings["sep_id"]] = 0
        if self._settings["padding_side"] == "left":
            row[len(row) - len(found) :] = found
        else:
            row[: len(found)] = found

    def _mapped_whole(self, text: str, cut: str | None) -> list[int]:
        """Return a text's ids, cut to the context length, with the start and end tokens: from a mapped vocabulary."""
        before, after = self._settings["vocabulary"]["before"], self._settings["vocabulary"]["after"]
        if cut is None and self._settings["truncation_side"] == "left":
            cut = "start"
        own = fitted(self._own_ids(text), self._length - len(before) - len(after), cut, text)
        return [*before, *own, *after]

    def _library_whole(self, text: str, cut: str | None) -> list[int]:
        """Return the same from the `tokenizers` library.

        Its own truncation has one side for all threads, and what it leaves out takes cubic time to put together again.
        """
        whole = self._tokenizer.encode(text, add_special_tokens=False)
        room = self._length - self._tokenizer.num_special_tokens_to_add(False)
        refuse(len(whole), room, cut, text)
        left = cut == "start" or (cut is None and self._settings["truncation_side"] == "left")
        whole.truncate(room, direction="left" if left else "right")
        ids: list[int] = self._tokenizer.post_process(whole).ids
        return ids

    def _encode_clips(self, text: str, row: NDArray[np.int64], cut: str | None) -> None:
        """Fill a row as HFTokenizer's mode "clips" does: the class token comes last, after the padding."""
        settings = self._settings
        inner = fitted(self._own_ids(text), self._length - 3, cut, text)
        found = [settings["bos_id"], *inner, settings["eos_id"]]
        row[: len(found)] = found
        row[-1] = settings["cls_id"]


def fitted(pieces: Sequence[T], room: int, cut: str | None, text: str) -> Sequence[T]:
    """Return at most `room` of a text's tokens. Raises TextError if `cut` is "none" and there are more."""
    if len(pieces) <= room:
        return pieces
    refuse(len(pieces), room, cut, text)
    return pieces[-room:] if cut == "start" else pieces[:room]


def refuse(tokens: int, room: int, cut: str | None, text: str) -> None:
    """Raise TextError for a text that is longer than `room` tokens, if `cut` is "none"."""
    if cut == "none" and tokens > room:
        message = f"it has {tokens} tokens, and the model reads {room} of a text: shorten it, or let it be cut"
        error = TextError("text_too_long", message)
        error.text = text
        raise error
