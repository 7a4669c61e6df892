"""open_clip's own tokenizer with its vocabulary mapped into memory: a word reads the pages of its pieces, once.

The `tokenizers` library takes 60 ms to read CLIP's 49,408 pieces, and a caption has five. open_clip encodes each word
by itself, so the ids of words are cached. A new word is encoded by the library, as in `MappedTokenizer`, with a model
of only those pieces that occur in it. That takes five times as long as with a model of all pieces. So after some
thousand characters of new words, the library reads all pieces: then the extra cost of a text is limited to that.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models

from handler.engines.mapped_tokenizer import Merges, Tree

END = "</w>"  # the end of a word's last piece
MOST_KEPT = 5_000  # words in the cache, each of at most LONGEST_KEPT characters: 5 MB
LONGEST_KEPT = 32


class MappedWords:
    """The tokenizer whose files are in `folder`; its longest piece has `longest` characters.

    `special` are special tokens with their ids: such a word is one token, and is not looked up in the vocabulary.
    """

    most_new = 5_000  # characters of new words, 15 ms: after these, the library reads all pieces

    def __init__(self, folder: Path, longest: int, special: Mapping[str, int]) -> None:
        self._folder = folder
        self._tree, self._merges = Tree(folder, longest), Merges(folder)
        self._new, self._reading = 0, threading.Lock()
        self._whole: Any = None
        self._split = Tokenizer.from_file(str(folder / "tokenizer.rules.json")).pre_tokenizer
        self._special = {word: [number] for word, number in special.items()}
        self._known = dict(self._special)

    def __call__(self, text: str) -> list[int]:
        """Return a text's token ids, without the start and end tokens."""
        known = self._known  # another thread may put an empty one in its place
        words = [word for word, _ in self._split.pre_tokenize_str(text)]
        new = self._encoded({word for word in words if word not in known})
        kept = {word: ids for word, ids in new.items() if len(word) <= LONGEST_KEPT}
        if len(known) + len(kept) > MOST_KEPT:
            self._known = dict(self._special)
        else:
            known.update(kept)
        return [number for word in words for number in (new[word] if word in new else known[word])]

    def _encoded(self, words: set[str]) -> dict[str, list[int]]:
        if not words:
            return {}
        model = self._model(words)
        return {word: [token.id for token in model.tokenize(word)] for word in words}

    def _model(self, words: set[str]) -> Any:
        self._new += sum(map(len, words))
        if self._new > self.most_new:
            with self._reading:
                self._whole = self._whole or Tokenizer.from_file(str(self._folder / "tokenizer.json")).model
            return self._whole
        pieces = self._tree.pieces("".join(word + END for word in words))
        return models.BPE(pieces, self._merges.of(pieces), end_of_word_suffix=END)
