"""The exported tokenizers give open_clip's own token ids, id for id, for any text."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Pieces
from tokenizers import models, normalizers, pre_tokenizers, processors

from handler.tokenizer import Tokenizer
from layer.export.tokenizer import export_tokenizer
from layer.openclip import open_clip
from tests.hub import repositories

FRAGMENTS = [
    *("a photo of a cat", "It's", "DON'T", "100%", "naïve", "İstanbul", "ﬁ", "ͅ", "e\u0301", "_", "snake_case", "  "),
    *("&amp;", "&lt;b&gt;", "&amp;lt;", "&eacute;", "&#x1F600;", "&nbsp", "<br/>", "schÃ¶n", "â€™", "“quoted”", "‘x’"),
    *("👩‍👩‍👧", "🏳️‍🌈", "🐕", "\u200b", "\u200d", "\x00", "\x1b[31m", "\x85", "\u2028", "\t", "\r\n", "\ufeff", "�"),
    *("一只猫", "夜の東京", "собака", "صورة", "한국어", "½", "²", "Ⅷ", "٣", "𝒜", "ǅ", "ß", "\U0001f1e9\U0001f1ea", "￼"),
    *("<start_of_text>", "<end_of_text>", "<<start_of_text>", "</s>", "<s>", "[SEP]", "[PAD]", "<unk>", "▁", "x" * 300),
]
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join))


def word_pieces(folder: Path) -> Path:
    """A BERT tokenizer, as CLIPA's text towers take it."""
    words = ["a", "photo", "of", "cat", "it", "s", "##s", "##o", "##t", "b", "don", "naive", "##e", "一", "只", "猫"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *"'&;<>%_0123456789.,/", *"cdefghijklmnopqruvwxyz"]
    pieces = Pieces(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    pieces.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return written(folder, pieces, special)


def xlm_pieces(folder: Path) -> Path:
    """A Unigram tokenizer between <s> and </s>, padded with an id that is not 0, as XLM-R has it."""
    letters = [chr(code) for code in (*range(33, 127), *range(0x410, 0x450), *range(0x4E00, 0x4F00))]
    scores = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁a", -3.0)]
    scores += [(letter, -5.0) for letter in letters]
    pieces = Pieces(models.Unigram(scores, unk_id=3, byte_fallback=False))
    pieces.normalizer = normalizers.NFKC()
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    pieces.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False)
    special = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    return written(folder, pieces, {**special, "pad_token": "<pad>", "unk_token": "<unk>"})


def written(folder: Path, pieces: Pieces, special: dict[str, str]) -> Path:
    pieces.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


HUB_TOKENIZERS: dict[str, Callable[[Path], Path]] = {
    "demo": lambda _: repositories.demo_snapshot(),
    "t5": lambda folder: repositories.t5_tokenizer(folder, 8_000),
    "bert": word_pieces,
    "xlm": xlm_pieces,
}
CASES: list[tuple[str, dict[str, Any]]] = [
    *(("simple", {"context_length": length, "clean": "lower"}) for length in (77, 8)),
    ("simple", {"context_length": 77, "clean": "whitespace"}),
    ("simple", {"context_length": 77, "clean": "canonicalize"}),
    *(("demo", {"context_length": 32, "clean": clean}) for clean in ("canonicalize", "whitespace", "lower")),
    ("t5", {"context_length": 64, "clean": "canonicalize"}),
    ("t5", {"context_length": 8, "clean": "whitespace"}),
    ("bert", {"context_length": 32, "clean": "whitespace", "strip_sep_token": True}),
    ("bert", {"context_length": 8, "clean": "lower"}),
    ("xlm", {"context_length": 32, "clean": "whitespace"}),
    ("xlm", {"context_length": 77, "clean": "whitespace", "tokenizer_mode": "clips"}),
]


@cache
def pair(number: int) -> tuple[Any, Tokenizer]:
    """open_clip's tokenizer and ours, exported from it."""
    kind, options = CASES[number]
    folder, out = Path(mkdtemp()), Path(mkdtemp())
    if kind == "simple":
        theirs = open_clip.tokenizer.SimpleTokenizer(**options)
    else:
        theirs = open_clip.tokenizer.HFTokenizer(str(HUB_TOKENIZERS[kind](folder)), **options)
    facts = {
        "kind": "simple" if kind == "simple" else "hf",
        "repo": kind,
        "context_length": theirs.context_length,
        "clean": options["clean"],
        "strip_sep_token": options.get("strip_sep_token", False),
        "mode": options.get("tokenizer_mode"),
        "pad_id": 0 if kind == "simple" else theirs.tokenizer.pad_token_id,
    }
    return theirs, Tokenizer(out / "tokenizer.json", export_tokenizer(theirs, facts, out))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{kind} {options}" for kind, options in CASES])
def test_any_text_has_open_clips_own_token_ids(number: int) -> None:
    theirs, ours = pair(number)

    @settings(max_examples=250, deadline=None, database=None)
    @given(some=st.lists(texts, min_size=1, max_size=4))
    def same(some: list[str]) -> None:
        assert ours(some).tolist() == theirs(some).tolist()

    assert ours(FRAGMENTS).tolist() == theirs(FRAGMENTS).tolist()
    same()
