"""Write a large vocabulary as arrays that can be mapped into memory: see `handler/engines/mapped_tokenizer.py`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from layer.bundle.records import MappedVocabulary

MIN_PIECES = 100_000  # the library reads a smaller vocabulary within a tenth of a second
MIN_OF_WORDS = 20_000  # the same for open_clip's own tokenizer: the library reads its 49,408 pieces in 60 ms
MARK = 1 << 31  # set in the ids of added tokens, so that they differ from the ids that pieces have for one text only
RULES = "tokenizer.rules.json"
Arrays = dict[str, NDArray[Any]]


def write_mapped(backend: tokenizers.Tokenizer, folder: Path, least: int = MIN_PIECES) -> MappedVocabulary | None:
    """Write tokenizer.rules.json and vocabulary.*.npy into `folder`; returns the manifest's record of them.

    Returns None, and writes nothing, if there are fewer than `least` pieces, or if the tokenizer's kind has no mapped
    form: then the library reads the whole vocabulary.
    """
    if backend.get_vocab_size(with_added_tokens=False) < least:
        return None
    written = json.loads(backend.to_str())
    model, around = written["model"], _around(backend)
    if around is None or not _has_form(model):
        return None
    unigram = model["type"] == "Unigram"
    ids = {piece: number for number, (piece, _) in enumerate(model["vocab"])} if unigram else model["vocab"]
    arrays = _tree(ids) | (_scores(model) if unigram else _merges(model))
    for name, array in arrays.items():
        np.save(folder / f"vocabulary.{name}.npy", array)
    _write_rules(written, folder / RULES)
    return MappedVocabulary(
        model=model["type"],
        longest=max(map(len, ids)),
        before=around[0],
        after=around[1],
        unk_token=model["vocab"][model["unk_id"]][0] if unigram else model["unk_token"],
        lowest=min(model["vocab"], key=lambda row: row[1])[0] if unigram else None,
        byte_fallback=model["byte_fallback"],
        fuse_unk=unigram or model["fuse_unk"],
        ignore_merges=not unigram and model["ignore_merges"],
    )


def write_mapped_words(backend: tokenizers.Tokenizer, folder: Path) -> int | None:
    """Do the same for open_clip's own tokenizer (`handler/engines/mapped_words.py`).

    Returns the length of its longest piece in characters; None if nothing is written.
    """
    written = json.loads(backend.to_str())
    if len(written["model"]["vocab"]) < MIN_OF_WORDS:
        return None
    for name, array in (_tree(written["model"]["vocab"]) | _merges(written["model"])).items():
        smallest = array.dtype if array.min() < 0 else np.min_scalar_type(array.max())  # a layer has little room
        np.save(folder / f"vocabulary.{name}.npy", array.astype(smallest))
    _write_rules(written, folder / RULES)
    return max(map(len, written["model"]["vocab"]))


def _has_form(model: Mapping[str, Any]) -> bool:
    """Tell whether a text's ids depend only on those pieces of the model that occur in the text."""
    if model["type"] == "Unigram":
        return model["unk_id"] is not None and not model.get("alpha") and not model.get("nbest_size")
    if model["type"] != "BPE" or model["dropout"]:
        return False
    unknown = model["unk_token"]
    affixes = model["continuing_subword_prefix"] or model["end_of_word_suffix"]
    return not affixes and (unknown is None or unknown in model["vocab"])


def _around(backend: tokenizers.Tokenizer) -> tuple[list[int], list[int]] | None:
    """Return the ids that are added before and after every text; None if they cannot be told from the text's own."""
    own, whole = (backend.encode("a", add_special_tokens=special).ids for special in (False, True))
    places = [place for place in range(len(whole)) if whole[place : place + len(own)] == own]
    return (whole[: places[0]], whole[places[0] + len(own) :]) if own and len(places) == 1 else None


def _tree(ids: Mapping[str, int]) -> Arrays:
    """Return the pieces as a tree by their characters, its nodes numbered level by level."""
    pieces = sorted(piece for piece in ids if piece)
    sizes = np.array([len(piece) for piece in pieces])
    starts = np.cumsum(sizes) - sizes
    codes = np.frombuffer("".join(pieces).encode("utf-32-le"), np.uint32)
    numbers = np.array([ids[piece] for piece in pieces], np.int32)
    node = np.zeros(len(pieces), np.int64)  # the one that each piece has come to
    characters, children, ends = [np.zeros(1, np.uint32)], [], [np.full(1, -1, np.int32)]
    level, count = np.arange(1), 1  # the nodes of this depth, and of all
    left = np.arange(len(pieces))
    for depth in range(int(sizes.max())):
        code, parent = codes[starts[left] + depth], node[left]
        new = np.append(True, (code[1:] != code[:-1]) | (parent[1:] != parent[:-1]))
        node[left] = count + np.cumsum(new) - 1
        children.append(count + np.searchsorted(parent[new], level))
        characters.append(code[new])
        level = count + np.arange(new.sum())
        count += len(level)
        complete = left[sizes[left] == depth + 1]
        ends.append(np.full(len(level), -1, np.int32))
        ends[-1][node[complete] - level[0]] = numbers[complete]
        left = left[sizes[left] > depth + 1]
    children.append(np.full(len(level) + 1, count))
    joined = np.concatenate(children).astype(np.uint32)
    return {"characters": np.concatenate(characters), "children": joined, "ids": np.concatenate(ends)}


def _scores(model: Mapping[str, Any]) -> Arrays:
    return {"scores": np.array([score for _, score in model["vocab"]], np.float64)}


def _merges(model: Mapping[str, Any]) -> Arrays:
    """Return the merges, sorted by the piece that they make: the length of the left part, and the rank of each."""
    vocabulary, merges = model["vocab"], model["merges"]
    made = np.array([vocabulary[left + right] for left, right in merges], np.int64)
    lefts = np.array([len(left) for left, _ in merges], np.uint32)
    order = np.argsort(made, kind="stable")
    ends = np.searchsorted(made[order], np.arange(max(vocabulary.values()) + 2))
    return {"merges": ends.astype(np.uint32), "ranks": order.astype(np.uint32), "lefts": lefts[order]}


def _write_rules(written: dict[str, Any], target: Path) -> None:
    """Write the tokenizer without its vocabulary, and without the ids around every text, which the manifest has."""
    added = [{**token, "id": token["id"] + MARK} for token in written["added_tokens"]]
    known = {token["content"]: token["id"] for token in added}  # the library takes an added token's id from the model
    model = {"type": "WordLevel", "vocab": known, "unk_token": ""}
    rules = {**written, "model": model, "added_tokens": added, "post_processor": None, "decoder": None}
    target.write_text(json.dumps(rules, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
