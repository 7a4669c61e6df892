"""A text that is longer than a model reads is cut where the request says, by both engines' tokenizers alike."""

from collections.abc import Callable
from typing import Any

import pytest

from handler.engines.truncation import by_open_clip
from handler.errors import TextError
from tests.hub import tokenizers
from tests.offline.test_tokenizer import CASES, pair

LONG = [" ".join([*tokenizers.CORPUS] * 2), "a red circle " * 40, "一个红色的圆形的照片" * 20]
SHORT = ["a cat", "红色"]
KINDS = ("simple", "byte BPE (roberta)", "Unigram (nllb)", "Unigram (t5)", "sentencepiece BPE (gemma)")
MODES = ({"strip_sep_token"}, {"tokenizer_mode"})  # CLIPA's, MetaCLIP 2's
FIRST = [next(number for number, (kind, _) in enumerate(CASES) if kind == wanted) for wanted in KINDS]
CHOSEN = [*FIRST, *(number for number, (_, options) in enumerate(CASES) for mode in MODES if mode & options.keys())]
NAMES = ["{} {}".format(*CASES[number]) for number in CHOSEN]


def facts(number: int) -> dict[str, Any]:
    kind, options = CASES[number]
    return {"kind": "simple" if kind == "simple" else "hf", "mode": options.get("tokenizer_mode")}


@pytest.mark.parametrize("number", CHOSEN, ids=NAMES)
def test_start_and_end_leave_the_other_end_of_a_text(number: int) -> None:
    theirs, ours = pair(number)

    for cut in ("start", "end"):
        found = ours([*LONG, *SHORT], cut).tolist()
        assert found == by_open_clip(theirs, [*LONG, *SHORT], cut, facts(number)).tolist()
        assert found[len(LONG) :] == theirs(SHORT).tolist(), "a text that fits is not cut"
    assert ours(LONG, "end").tolist() == theirs(LONG).tolist(), "open_clip's own way"


@pytest.mark.parametrize("number", CHOSEN, ids=NAMES)
def test_start_keeps_the_last_tokens_of_the_whole_text(number: int) -> None:
    """What transformers' and open_clip's tokenizers give for the text without a limit ends in the same tokens."""
    theirs, ours = pair(number)
    if facts(number)["kind"] == "simple":
        whole = theirs.encode(LONG[0])
    else:
        whole = theirs.tokenizer(theirs.clean_fn(LONG[0]), add_special_tokens=False)["input_ids"]
    [row] = ours(LONG[:1], "start").tolist()

    kept = [length for length in range(len(row) - 3, len(row) + 1) if _within(whole[-length:], row)]

    assert kept, "the last tokens of the text are not all of the row but its three marks at most"


def _within(tail: list[int], row: list[int]) -> bool:
    tail = [0 if token not in row else token for token in tail]  # a separator of CLIPA's is made 0
    return any(row[at : at + len(tail)] == tail for at in range(4))


@pytest.mark.parametrize("number", CHOSEN, ids=NAMES)
def test_without_cutting_a_text_that_is_too_long_is_refused_and_named(number: int) -> None:
    theirs, ours = pair(number)
    assert ours(SHORT, "none").tolist() == theirs(SHORT).tolist()

    both: list[Callable[[list[str]], Any]] = [
        lambda texts: ours(texts, "none"),
        lambda texts: by_open_clip(theirs, texts, "none", facts(number)),
    ]
    for tokenize in both:
        for text in LONG:
            with pytest.raises(TextError, match=r"^it has \d+ tokens, and the model reads \d+ of a text") as caught:
                tokenize([*SHORT, text])
            assert (caught.value.code, caught.value.text) == ("text_too_long", text)
