"""Builds the demo model's own Hugging Face tokenizer: pieces learned from its captions, bytes for everything else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from layer.demo.captions import LANGUAGES, TEMPLATES, caption
from layer.demo.shapes import THINGS

CONTEXT_LENGTH = 32
SPECIAL_TOKENS = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}  # ids 0, 1, 2, as in mT5
START = "<s>"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_MOST_PIECES = 400


def save(folder: Path, like_clip: bool = False) -> None:
    """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json and config.json into `folder`."""
    build(like_clip).save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT_LENGTH, **SPECIAL_TOKENS}
    _write_json(folder / "tokenizer_config.json", {**settings, "clean_up_tokenization_spaces": False})
    _write_json(folder / "special_tokens_map.json", SPECIAL_TOKENS)
    # transformers 5 asks for this file even where it needs nothing from it, and offline its absence is an error
    _write_json(folder / "config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})


def build(like_clip: bool = False) -> Tokenizer:
    """Return the tokenizer: every text has ids, since whatever is not in the vocabulary is spelled in UTF-8 bytes.

    `like_clip`: a text begins with a token of its own, and the end token has the highest id, where CLIP looks for it.
    """
    learned = json.loads(_learn().to_str())["model"]
    pieces = [piece for piece in learned["vocab"] if piece not in SPECIAL_TOKENS.values()]
    special = SPECIAL_TOKENS.values()
    if like_clip:
        end = SPECIAL_TOKENS["eos_token"]
        order = [*(token for token in special if token != end), START, *_BYTES, *pieces, end]
    else:
        order = [*special, *_BYTES, *pieces]
    vocabulary = {piece: i for i, piece in enumerate(order)}
    merges = [(left, right) for left, right in learned["merges"]]
    model = models.BPE(
        vocab=vocabulary, merges=merges, unk_token=SPECIAL_TOKENS["unk_token"], fuse_unk=True, byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _splitter()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()])
    end = SPECIAL_TOKENS["eos_token"]
    around = [START, end] if like_clip else [end]
    tokenizer.add_special_tokens([*SPECIAL_TOKENS.values(), *around])
    first = f"{START} $A {end}" if like_clip else f"$A {end}"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=first, pair=f"{first} $B {end}", special_tokens=[(token, vocabulary[token]) for token in around]
    )
    return tokenizer


def _learn() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _splitter()
    trainer = trainers.BpeTrainer(vocab_size=_MOST_PIECES, show_progress=False)
    tokenizer.train_from_iterator(_captions(), trainer)
    return tokenizer


def _splitter() -> pre_tokenizers.PreTokenizer:
    """Split at spaces and around each Chinese character, so that no piece glues a whole caption together."""
    return pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated")])


def _captions() -> Iterator[str]:
    """Yield one-thing captions as open_clip's `canonicalize` leaves them: lower case, no punctuation."""
    for language in LANGUAGES:
        for template in range(len(TEMPLATES[language])):
            yield from (caption([thing], language, template).lower() for thing in THINGS)
    for language in LANGUAGES:
        yield caption(THINGS[:2], language)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
