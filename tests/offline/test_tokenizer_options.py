"""Each option that `tokenizer_kwargs` may have gives open_clip's own token ids by the exported tokenizer, too."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from handler.engines.tokenizer import Tokenizer
from layer.bundle import golden_texts, records, reference
from layer.config.field_table import HF_TOKENIZER, MANIFEST, NO_EFFECT
from layer.export.tokenizer import export_tokenizer
from layer.openclip import open_clip
from tests.hub import tokenizers
from tests.offline.test_tokenizer import FRAGMENTS

ROBERTA, BERT, T5, GEMMA, NLLB = (
    "byte BPE (roberta)",
    "WordPiece (bert)",
    "Unigram (t5)",
    "sentencepiece BPE (gemma)",
    "Unigram (nllb)",
)
OPTIONS: list[tuple[str, str, Any]] = [
    *((BERT, "clean", clean) for clean in ("lower", "canonicalize", "whitespace")),
    (BERT, "strip_sep_token", True),
    *((kind, "padding_side", "left") for kind in (BERT, ROBERTA, T5, GEMMA)),
    *((kind, "truncation_side", "left") for kind in (BERT, ROBERTA, T5, GEMMA)),
    *((kind, "additional_special_tokens", ["<red>", "<OBJ 1>"]) for kind in tokenizers.CLASSES),
    *((BERT, name, "[UNK]") for name in ("pad_token", "sep_token", "cls_token")),
    (BERT, "unk_token", "[PAD]"),
    (BERT, "mask_token", "<gap>"),
    *((ROBERTA, name, "<mask>") for name in ("bos_token", "eos_token")),
    (ROBERTA, "add_prefix_space", True),
    (BERT, "do_lower_case", False),
    (BERT, "strip_accents", False),
    (BERT, "tokenize_chinese_chars", False),
    (BERT, "clean_up_tokenization_spaces", False),
    (BERT, "model_max_length", 4),
    (BERT, "use_fast", True),
    (T5, "legacy", False),
    (T5, "extra_ids", 0),
    (GEMMA, "add_bos_token", True),
    (GEMMA, "add_eos_token", False),
    (NLLB, "src_lang", "fra_Latn"),
]
LENGTH = 12


def made(kind: str, folder: Path) -> Path:
    """A tokenizer of the class, NLLB's with two of its languages."""
    tokenizers.CLASSES[kind](folder)
    if kind == NLLB:
        path = folder / "tokenizer_config.json"
        languages = {"additional_special_tokens": ["eng_Latn", "fra_Latn"]}
        path.write_text(json.dumps({**json.loads(path.read_text()), **languages}))
    return folder


@pytest.mark.parametrize(("kind", "option", "value"), OPTIONS, ids=[f"{k} {o}" for k, o, _ in OPTIONS])
def test_an_option_of_a_tokenizer_is_exported_exactly(tmp_path: Path, kind: str, option: str, value: Any) -> None:
    folder = made(kind, tmp_path / "theirs")
    theirs = open_clip.tokenizer.HFTokenizer(str(folder), context_length=LENGTH, **{option: value})
    facts = records.Tokenizer(
        kind="hf",
        repo=kind,
        context_length=LENGTH,
        clean=value if option == "clean" else "whitespace",
        strip_sep_token=theirs.strip_sep_token,
        mode=None,
        pad_id=theirs.tokenizer.pad_token_id,
    )
    ours = Tokenizer(tmp_path / "tokenizer.json", records.as_json(export_tokenizer(theirs, facts, tmp_path)))

    texts = [
        *FRAGMENTS,
        *tokenizers.CORPUS,
        *golden_texts.TEXTS,
        *golden_texts.TOKENIZED,
        "a <red> cat<OBJ 1><red>",
        "[SEP]a[MASK] b",
    ]
    assert ours(texts).tolist() == theirs(texts).tolist()


def test_an_exported_tokenizer_neither_cuts_nor_pads(tmp_path: Path) -> None:
    """The handler does both, with the manifest's settings. A tokenizer that was called has the library do it."""
    theirs = open_clip.tokenizer.HFTokenizer(str(made(BERT, tmp_path / "theirs")), context_length=LENGTH)
    theirs(["a red circle " * LENGTH])
    before = json.loads(theirs.tokenizer.backend_tokenizer.to_str())
    assert (before["truncation"]["max_length"], before["padding"]["strategy"]) == (LENGTH, {"Fixed": LENGTH})
    facts = records.Tokenizer("hf", BERT, LENGTH, "whitespace", False, None, theirs.tokenizer.pad_token_id)

    export_tokenizer(theirs, facts, tmp_path)

    written = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert (written["truncation"], written["padding"]) == (None, None)


def test_every_option_that_passes_the_check_is_tried_here() -> None:
    passing = {name for name, field in HF_TOKENIZER.items() if field.treatment in (MANIFEST, NO_EFFECT)}
    assert {option for _, option, _ in OPTIONS} == passing


# Of no effect on ids: decoding's, a length that each call overrides, the form of a tokenizer that is fast anyway.
# transformers 5 has one form of T5's, and takes bos and eos from a tokenizer's own template.
SHOWS_NOTHING = {"clean_up_tokenization_spaces", "model_max_length", "use_fast", "legacy", "extra_ids"}
SHOWS_NOTHING |= {"bos_token", "eos_token"}
DEFAULTS = [[BERT, "clean", "whitespace"], [BERT, "do_lower_case", False]]


def verified(tokenizer: Any) -> list[str]:
    """The texts on which a bundle's token ids are compared when it is verified."""
    loaded = reference.Loaded(SimpleNamespace(vocab_size=None), None, tokenizer)
    return [*golden_texts.TEXTS, *reference.tokenized_texts(loaded)]


SHOWN = [row for row in OPTIONS if row[1] not in SHOWS_NOTHING and list(row) not in DEFAULTS]


@pytest.mark.parametrize(("kind", "option", "value"), SHOWN, ids=[f"{k} {o}" for k, o, _ in SHOWN])
def test_the_texts_of_verification_show_an_option_that_is_not_honored(
    tmp_path: Path, kind: str, option: str, value: Any
) -> None:
    folder = str(made(kind, tmp_path / "theirs"))
    theirs = open_clip.tokenizer.HFTokenizer(folder, context_length=32, **{option: value})
    without = open_clip.tokenizer.HFTokenizer(folder, context_length=32)
    texts = verified(theirs)
    differs = theirs(texts).tolist() != without(texts).tolist()
    assert differs


@pytest.mark.parametrize(
    ("options", "others"),
    [
        ({"clean": "lower"}, {"clean": "whitespace"}),
        ({"clean": "lower"}, {"clean": "canonicalize"}),
        ({"additional_special_tokens": ["<red>"]}, {}),
        ({"additional_special_tokens": ["<red>", "<obj_1>"]}, {"additional_special_tokens": ["<red>", "<blue>"]}),
    ],
)
def test_the_texts_of_verification_show_each_option_of_open_clips_own(
    options: dict[str, Any], others: dict[str, Any]
) -> None:
    one, other = (open_clip.tokenizer.SimpleTokenizer(**each) for each in (options, others))
    texts = verified(one)
    differs = one(texts).tolist() != other(texts).tolist()
    assert differs
