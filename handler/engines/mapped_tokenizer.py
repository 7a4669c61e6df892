"""A large tokenizer whose vocabulary is mapped into memory: a text only reads the pages with its own pieces.

The `tokenizers` library takes up to a second and 300 MB to read 250,000 pieces. But the ids of a text depend only on
those pieces that occur in it. The build writes all pieces as a tree (`vocabulary.*.npy`). For each text, this module
finds the pieces in the tree, and gives the library a model with only these. The library does the rest as usual.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models

MARK = 1 << 31  # set in the ids of added tokens, to tell them from the ids that pieces have in a text's own model


class MappedTokenizer:
    """The tokenizer that `vocabulary`, of the manifest's `tokenizer`, describes; its files are in `folder`."""

    def __init__(self, folder: Path, vocabulary: Mapping[str, Any]) -> None:
        self._facts = vocabulary
        self._tree = Tree(folder, vocabulary["longest"])
        self._of_pieces = {"BPE": self._bpe, "Unigram": self._unigram}[vocabulary["model"]]
        if vocabulary["model"] == "BPE":
            self._merges = Merges(folder)
        else:
            self._scores = _mapped(folder, "scores")
        self._rules = Tokenizer.from_file(str(folder / "tokenizer.rules.json"))
        self._words = models.Unigram([("<unk>", 0.0)], unk_id=0)  # has no pieces, so it returns normalized text
        self._lock = threading.Lock()  # `_rules` is changed for each text: its model is set

    def __call__(self, text: str) -> list[int]:
        """Return a text's token ids, without the start and end tokens."""
        with self._lock:
            self._rules.model = self._words
            normalized = "".join(self._rules.encode(text, add_special_tokens=False).tokens)
            pieces = self._tree.pieces(normalized)
            self._rules.model, own_ids = self._of_pieces(pieces, set(normalized).difference(pieces))
            ids = self._rules.encode(text, add_special_tokens=False).ids
        return [own_ids[number] if number < MARK else number - MARK for number in ids]

    def _unigram(self, pieces: dict[str, int], unknown: Iterable[str]) -> tuple[Any, Any]:
        """Return a model of the pieces, and the list that maps its ids to the real ones."""
        facts = self._facts
        # The library computes the score of unknown characters from the lowest score, so that piece is included.
        known = {name: self._tree.id_of(name) for name in (facts["unk_token"], facts["lowest"])}
        known |= pieces | (self._bytes(unknown) if facts["byte_fallback"] else {})
        ids, scores = list(known.values()), self._scores
        scored = [(piece, scores[number]) for piece, number in known.items()]
        return models.Unigram(scored, unk_id=0, byte_fallback=facts["byte_fallback"]), ids

    def _bpe(self, pieces: dict[str, int], unknown: Iterable[str]) -> tuple[Any, Any]:
        """Return a model of the pieces and of the merges that make them, and the map of its ids: the identity."""
        facts, known = self._facts, dict(pieces)
        if facts["unk_token"]:
            known[facts["unk_token"]] = self._tree.id_of(facts["unk_token"])
        if facts["byte_fallback"]:
            known |= self._bytes(unknown)
        model = models.BPE(
            known,
            self._merges.of(pieces),
            unk_token=facts["unk_token"],
            fuse_unk=facts["fuse_unk"],
            byte_fallback=facts["byte_fallback"],
            ignore_merges=facts["ignore_merges"],
        )
        return model, range(MARK)

    def _bytes(self, unknown: Iterable[str]) -> dict[str, int]:
        """Return the byte pieces, such as `<0x0A>`, of characters that are not pieces themselves."""
        names = {f"<0x{byte:02X}>" for byte in {*"".join(unknown).encode()}}
        return {name: number for name in names if (number := self._tree.id_of(name)) >= 0}


class Merges:
    """The merges of a BPE vocabulary, by the piece that each makes."""

    def __init__(self, folder: Path) -> None:
        self._ends, self._ranks, self._lefts = (_mapped(folder, name) for name in ("merges", "ranks", "lefts"))

    def of(self, pieces: Mapping[str, int]) -> list[tuple[str, str]]:
        """Return the merges that make these pieces, as pairs of their parts, in the vocabulary's order."""
        ends, ranks, lefts = self._ends, self._ranks, self._lefts
        ranked: list[tuple[int, str, int]] = []
        for piece, number in pieces.items():
            start, end = ends[number], ends[number + 1]
            if start < end:
                ranked += zip(ranks[start:end], repeat(piece), lefts[start:end], strict=False)
        ranked.sort()
        return [(piece[:left], piece[left:]) for _, piece, left in ranked]


class Tree:
    """The pieces of a vocabulary by their characters.

    Nodes are numbered level by level: the root is 0, and the children of node n are `children[n]` to `children[n + 1]`,
    sorted by `characters`. `ids` is the piece that ends at a node, or -1.
    """

    def __init__(self, folder: Path, longest: int) -> None:
        self._longest = longest
        self._characters, self._children, self._ids = (
            _mapped(folder, name) for name in ("characters", "children", "ids")
        )

    def pieces(self, text: str) -> dict[str, int]:
        """Return every piece that occurs in a text, with its id."""
        characters, children, ids, longest = self._characters, self._children, self._ids, self._longest
        codes, found, seen = [ord(one) for one in text], {}, set()
        for start in range(len(codes)):
            ahead = text[start : start + longest]
            if ahead in seen:  # otherwise a text that repeats one character would be by far the most expensive
                continue
            seen.add(ahead)
            node = 0
            for place in range(start, len(codes)):
                code, end = codes[place], children[node + 1]
                node = bisect_left(characters, code, children[node], end)
                if node == end or characters[node] != code:
                    break
                if ids[node] >= 0:
                    found[text[start : place + 1]] = ids[node]
        return found

    def id_of(self, piece: str) -> int:
        """Return the id of a piece; -1 if it is not in the vocabulary."""
        node = 0
        for one in piece:
            end = self._children[node + 1]
            node = bisect_left(self._characters, ord(one), self._children[node], end)
            if node == end or self._characters[node] != ord(one):
                return -1
        return int(self._ids[node])


def _mapped(folder: Path, name: str) -> memoryview:
    return memoryview(np.load(folder / f"vocabulary.{name}.npy", mmap_mode="r"))
