"""Write open_clip's tokenizer as a tokenizer.json, with the settings that `handler/engines/tokenizer.py` reads."""

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import regex
import tokenizers
from tokenizers import Regex, models, pre_tokenizers

from layer.bundle.records import ExportedHfTokenizer, ExportedSimpleTokenizer, Tokenizer
from layer.bundle.reference import special_tokens
from layer.errors import ExportError
from layer.export.mapped_vocabulary import write_mapped, write_mapped_words


def export_tokenizer(tokenizer: Any, facts: Tokenizer, folder: Path) -> ExportedSimpleTokenizer | ExportedHfTokenizer:
    """Write `folder`/tokenizer.json, and return `facts`, the manifest's `tokenizer`, with the facts of the export.

    Raises ExportError for a tokenizer that only transformers can run.
    """
    if facts.kind == "simple":
        return _export_simple(tokenizer, facts, folder)
    inner = tokenizer.tokenizer
    if not getattr(inner, "is_fast", False):
        raise ExportError(
            f"{facts.repo} has a tokenizer without a fast form ({type(inner).__name__}): "
            'set engine = "torch" for this model in models.toml'
        )
    backend = tokenizers.Tokenizer.from_str(inner.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    _write(backend, folder / "tokenizer.json")
    return ExportedHfTokenizer(
        **vars(facts),
        padding_side=inner.padding_side,
        truncation_side=inner.truncation_side,
        bos_id=inner.bos_token_id,
        eos_id=inner.eos_token_id,
        sep_id=inner.sep_token_id,
        cls_id=inner.cls_token_id,
        vocabulary=write_mapped(backend, folder),
    )


def _export_simple(tokenizer: Any, facts: Tokenizer, folder: Path) -> ExportedSimpleTokenizer:
    if tokenizer.reduction_fn is not None:
        raise ExportError("a tokenizer with a reduction mask picks tokens at random: remove it from tokenizer_kwargs")
    special = special_tokens(tokenizer)
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    written = tokenizers.Tokenizer(models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix="</w>"))
    written.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_pattern(list(special))), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    _write(written, folder / "tokenizer.json")
    return ExportedSimpleTokenizer(
        **vars(facts),
        special_tokens=special,
        bos_id=tokenizer.sot_token_id,
        eos_id=tokenizer.eot_token_id,
        longest_piece=write_mapped_words(written, folder),
    )


def _write(tokenizer: tokenizers.Tokenizer, target: Path) -> None:
    """Write a tokenizer.json, with merges as "a b" if possible: they are read a third faster than ["a", "b"]."""
    written = json.loads(tokenizer.to_str())
    merges = written["model"].get("merges")
    if merges and not any(" " in piece or piece.startswith("#version") for merge in merges for piece in merge):
        written["model"]["merges"] = [" ".join(merge) for merge in merges]
    target.write_text(json.dumps(written, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def _pattern(special: list[str]) -> str:
    """Return SimpleTokenizer's pattern with character classes written out: the two regex engines have other Unicodes.

    `special` are its special tokens, in order. They are <names>, without characters that a pattern would escape.
    """
    letters, number, others = (_ranges(kind) for kind in (r"[\p{L}]", r"[\p{N}]", r"[^\s\p{L}\p{N}]"))
    fixed = rf"(?i:{'|'.join(special)}|'s|'t|'re|'ve|'m|'ll|'d)"
    return f"{fixed}|[{letters}]+|[{number}]|[{others}]+"


def _ranges(kind: str) -> str:
    """List the characters of a class of the `regex` package as ranges for a bracket expression."""
    matches = regex.compile(kind, regex.IGNORECASE).match  # folding adds U+0345 to the letters
    everything = (code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    codes = [code for code in everything if matches(chr(code))]
    runs = [list(run) for _, run in groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    return "".join(rf"\x{{{run[0][1]:x}}}-\x{{{run[-1][1]:x}}}" for run in runs)
