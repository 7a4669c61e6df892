"""Choose between the two forms of a bundle's tokenizer: mapped into memory, or read in full by the library."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from layer.bundle.records import ExportedFacts, ExportedHfTokenizer, ExportedSimpleTokenizer, Tokenizer
from layer.export.mapped_vocabulary import RULES

PIECES = 40_000  # pieces of a vocabulary that are tried, which takes a second
OF_WORDS = 10_000  # the same for open_clip's own tokenizer, which is slower
PIECES_OF_A_TEXT = 20
RANDOM_TEXTS = 200


def is_mapped(tokenizer: Tokenizer) -> bool:
    """Tell whether a tokenizer has the mapped form."""
    if isinstance(tokenizer, ExportedSimpleTokenizer):
        return tokenizer.longest_piece is not None
    return isinstance(tokenizer, ExportedHfTokenizer) and tokenizer.vocabulary is not None


def read_whole(facts: ExportedFacts, model_id: str, made: Path, folder: Path) -> ExportedFacts:
    """Replace a mapped tokenizer that is not exact by the form that is read in full; print a note; return its facts."""
    print(
        f"note: the mapped vocabulary of {model_id} gives other token ids than open_clip's, so that the tokenizers "
        "library reads all of it at each start; please report it",
        file=sys.stderr,
    )
    if isinstance(facts.tokenizer, ExportedSimpleTokenizer):
        whole: Tokenizer = replace(facts.tokenizer, longest_piece=None)
    else:
        assert isinstance(facts.tokenizer, ExportedHfTokenizer)  # noqa: S101 - for mypy: no other is mapped
        whole = replace(facts.tokenizer, vocabulary=None)
    write(made, folder, whole)
    return replace(facts, tokenizer=whole)


def write(made: Path, folder: Path, tokenizer: Tokenizer) -> None:
    """Write the tokenizer of the export `made` into `folder`: for the library, and also mapped if it has that form."""
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in (*folder.glob("tokenizer.*"), *folder.glob("vocabulary.*")):
        earlier.unlink()
    mapped = [made / RULES, *made.glob("vocabulary.*")] if is_mapped(tokenizer) else []
    for path in (made / "tokenizer.json", *mapped):  # older handlers, without the mapped form, read the first
        shutil.copyfile(path, folder / path.name)


def vocabulary_texts(tokenizer: Any) -> list[str]:
    """Return texts that would show an inexact form: pieces from the whole vocabulary, and characters of any kind.

    `tokenizer` is transformers', or open_clip's own.
    """
    rng = np.random.default_rng(0)
    own: dict[str, int] | None = getattr(tokenizer, "encoder", None)
    pieces, most = (sorted(own), OF_WORDS) if own else (sorted(tokenizer.get_vocab()), PIECES)
    joined: Callable[[list[str]], str] = tokenizer.convert_tokens_to_string if own is None else _decoded(tokenizer)
    chosen = [pieces[place] for place in rng.permutation(len(pieces))[:most]]
    groups = (chosen[start : start + PIECES_OF_A_TEXT] for start in range(0, len(chosen), PIECES_OF_A_TEXT))
    texts = [joined(group) for group in groups]
    every = np.array([code for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000])
    for _ in range(RANDOM_TEXTS):
        most = rng.choice([0x80, 0x250, 0x3000, 0x10000, len(every)])
        texts.append("".join(map(chr, rng.choice(every[:most], 40))))
    return texts


def _decoded(tokenizer: Any) -> Callable[[list[str]], str]:
    return lambda pieces: str(tokenizer.decode([tokenizer.encoder[piece] for piece in pieces]))
