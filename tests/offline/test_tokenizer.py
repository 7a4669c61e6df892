"""The exported tokenizers give open_clip's own token ids, id for id, for any text."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.engines.tokenizer import Tokenizer
from layer.bundle import records
from layer.export.tokenizer import export_tokenizer
from layer.openclip import open_clip
from tests.hub import repositories, tokenizers

FRAGMENTS = [
    *("a photo of a cat", "It's", "DON'T", "100%", "naïve", "İstanbul", "ﬁ", "ͅ", "e\u0301", "_", "snake_case", "  "),
    *("&amp;", "&lt;b&gt;", "&amp;lt;", "&eacute;", "&#x1F600;", "&nbsp", "<br/>", "schÃ¶n", "â€™", "“quoted”", "‘x’"),
    *("👩‍👩‍👧", "🏳️‍🌈", "🐕", "\u200b", "\u200d", "\x00", "\x1b[31m", "\x85", "\u2028", "\t", "\r\n", "\ufeff", "�"),
    *("一只猫", "夜の東京", "собака", "صورة", "한국어", "½", "²", "Ⅷ", "٣", "𝒜", "ǅ", "ß", "\U0001f1e9\U0001f1ea", "￼"),
    *("<start_of_text>", "<end_of_text>", "<<start_of_text>", "</s>", "<s>", "[SEP]", "[PAD]", "<unk>", "▁", "x" * 300),
    *("<red>", "<RED>", "<obj_1>", "<obj_1><red>", "<<red>>", "<r>", "x<red>y", "<red", "_<obj_1>_"),
]
PARTS = [line[start : start + length] for line in tokenizers.CORPUS for start in range(0, 20, 7) for length in (3, 30)]
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join),
    st.lists(st.sampled_from(PARTS), max_size=6).map("".join),  # of seventeen scripts, cut anywhere
)


HUB_TOKENIZERS: dict[str, Callable[[Path], Path]] = {
    "demo": lambda _: repositories.demo_snapshot(),
    "hand-made Unigram": lambda folder: repositories.t5_tokenizer(folder, 8_000),
    **tokenizers.CLASSES,
}
CASES: list[tuple[str, dict[str, Any]]] = [
    *(("simple", {"context_length": length, "clean": "lower"}) for length in (77, 8)),
    ("simple", {"context_length": 77, "clean": "whitespace"}),
    ("simple", {"context_length": 77, "clean": "canonicalize"}),
    ("simple", {"context_length": 77, "clean": "lower", "additional_special_tokens": ["<red>", "<obj_1>"]}),
    ("simple", {"context_length": 9, "clean": "whitespace", "additional_special_tokens": ["<red>", "<obj_1>", "<r>"]}),
    *(("demo", {"context_length": 32, "clean": clean}) for clean in ("canonicalize", "whitespace", "lower")),
    ("hand-made Unigram", {"context_length": 8, "clean": "whitespace"}),
    *((kind, {"context_length": 48, "clean": "whitespace"}) for kind in tokenizers.CLASSES),
    ("Unigram (t5)", {"context_length": 64, "clean": "canonicalize"}),  # SigLIP, MetaCLIP 2 of mt5
    ("sentencepiece BPE (gemma)", {"context_length": 64, "clean": "canonicalize"}),  # SigLIP 2
    ("WordPiece (bert)", {"context_length": 32, "clean": "whitespace", "strip_sep_token": True}),  # CLIPA
    ("WordPiece (bert)", {"context_length": 8, "clean": "lower"}),
    ("Unigram (xlm-roberta)", {"context_length": 77, "clean": "whitespace", "tokenizer_mode": "clips"}),  # MetaCLIP 2
]
PLACE = TemporaryDirectory()  # removed when Python ends: a tokenizer reads its files late


@cache
def pair(number: int) -> tuple[Any, Tokenizer]:
    """open_clip's tokenizer and ours, exported from it."""
    kind, options = CASES[number]
    folder, out = Path(mkdtemp(dir=PLACE.name)), Path(mkdtemp(dir=PLACE.name))
    if kind == "simple":
        theirs = open_clip.tokenizer.SimpleTokenizer(**options)
    else:
        theirs = open_clip.tokenizer.HFTokenizer(str(HUB_TOKENIZERS[kind](folder)), **options)
    facts = records.Tokenizer(
        kind="simple" if kind == "simple" else "hf",
        repo=kind,
        context_length=theirs.context_length,
        clean=options["clean"],
        strip_sep_token=options.get("strip_sep_token", False),
        mode=options.get("tokenizer_mode"),
        pad_id=0 if kind == "simple" else theirs.tokenizer.pad_token_id,
    )
    return theirs, Tokenizer(out / "tokenizer.json", records.as_json(export_tokenizer(theirs, facts, out)))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{kind} {options}" for kind, options in CASES])
def test_any_text_has_open_clips_own_token_ids(number: int) -> None:
    theirs, ours = pair(number)

    @settings(max_examples=250, database=None)
    @given(some=st.lists(texts, min_size=1, max_size=4))
    def same(some: list[str]) -> None:
        assert ours(some).tolist() == theirs(some).tolist()

    assert ours(FRAGMENTS).tolist() == theirs(FRAGMENTS).tolist()
    assert ours(tokenizers.CORPUS).tolist() == theirs(list(tokenizers.CORPUS)).tolist()
    same()
