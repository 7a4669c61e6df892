"""A response's usage counts the tokens that open_clip's tokenizers make of a text, and none of their padding."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.engines import most_tokens, token_counts
from handler.engines.torch_engine import token_facts
from layer.bundle.records import Tokenizer
from tests.hub import tokenizers
from tests.offline.test_tokenizer import CASES, FRAGMENTS, pair, texts

SHOUTED = ["!€", "a!€b", "!€!€ and !€", "wow!!!?!", "!", "!!", "!中", "!ä!", "!€ " * 60]  # CLIP's "!" is its padding


def counted(theirs: Any, text: str) -> int:
    """Count by open_clip's own tokenizer before it pads. What ends a text and is its padding is seen as padding."""
    length = theirs.context_length
    if not hasattr(theirs, "tokenizer"):
        return int(min(len(theirs.encode(text)) + 2, length))
    inner, text = theirs.tokenizer, theirs.clean_fn(text)
    if theirs.tokenizer_mode == "clips":
        return int(min(len(inner(text, add_special_tokens=False)["input_ids"]), length - 3) + 3)
    found = inner(text, max_length=length, truncation=True)["input_ids"]
    if theirs.strip_sep_token:
        found = [0 if token == inner.sep_token_id else token for token in found]
    while found and found[-1] == inner.pad_token_id:
        found.pop()
    return len(found)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{kind} {options}" for kind, options in CASES])
def test_every_token_of_a_text_is_counted_and_no_padding(number: int) -> None:
    theirs, ours = pair(number)

    def check(some: list[str]) -> None:
        found = token_counts(ours(some), ours._settings).tolist()
        assert dict(zip(some, found, strict=True)) == {text: counted(theirs, text) for text in some}

    @settings(max_examples=100, database=None)
    @given(some=st.lists(texts, min_size=1, max_size=4))
    def same(some: list[str]) -> None:
        check(some)

    check([*SHOUTED, *FRAGMENTS, *tokenizers.CORPUS])
    same()


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{kind} {options}" for kind, options in CASES])
def test_a_text_that_is_cut_has_as_many_tokens_as_the_model_reads(number: int) -> None:
    theirs, ours = pair(number)
    length = theirs.context_length
    found = token_counts(ours(["cat dog " * length, "a"]), ours._settings)
    assert found[0] == most_tokens(length, ours._settings) > found[1]
    # The manifest says less of a tokenizer that is not exported: `torch` asks open_clip's own.
    less = {name: ours._settings[name] for name in (field.name for field in fields(Tokenizer))}
    assert found[0] == most_tokens(length, {**less, **token_facts(theirs)})


def test_a_text_of_nothing_but_padding_has_no_tokens() -> None:
    ids = np.array([[0, 0, 0], [0, 7, 0], [7, 0, 7]], np.int64)
    assert token_counts(ids, {"pad_id": 0}).tolist() == [0, 1, 3]
