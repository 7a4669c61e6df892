"""open_clip's own tokenizer with its vocabulary mapped into memory: a word costs the pages of its own pieces, once.

The `tokenizers` library takes 60 ms to read CLIP's 49,408 pieces, and a caption has five. open_clip encodes each word
by itself, so what a word becomes is kept. Of a word that is new the library does all of the work, as `MappedTokenizer`
says, with a model of those pieces alone that occur in it. That takes five times as long as with a model of all pieces,
so from some thousand characters on the library reads them after all: no text costs more than that beside its own work.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models

from handler.engines.mapped_tokenizer import Merges, Tree

END = "</w>"  # a word's last piece ends so
MOST_KEPT = 5_000  # words, and characters of each: 5 MB at most
LONGEST_KEPT = 32


class MappedWords:
    """The tokenizer whose files are in `folder`; its longest piece has `longest` characters.

    `special` are the ids of words that are one token whatever the vocabulary says of them.
    """

    most_new = 5_000  # characters of new words, 15 ms: then the library reads all

    def __init__(self, folder: Path, longest: int, special: Mapping[str, int]) -> None:
        self._folder = folder
        self._tree, self._merges = Tree(folder, longest), Merges(folder)
        self._new, self._reading = 0, threading.Lock()
        self._whole: Any = None
        self._split = Tokenizer.from_file(str(folder / "tokenizer.rules.json")).pre_tokenizer
        self._special = {word: [number] for word, number in special.items()}
        self._known = dict(self._special)

    def __call__(self, text: str) -> list[int]:
        """Return a text's own token ids, without what stands before and after every text."""
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
