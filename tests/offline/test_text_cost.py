"""What a text costs between JSON and token ids: no hostile one more than twice the largest honest one of its length."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unicodedata import combining, normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.endpoints.embeddings import _tokenized
from handler.engines import text_cleaning
from handler.engines.text_cleaning import CLEAN
from handler.engines.tokenizer import CUTS, Tokenizer
from handler.engines.torch_engine import _bpe
from handler.errors import TextError
from handler.schemas.fields import Item
from layer.openclip import open_clip
from tests.offline.hostile_texts import HONEST, UNITS, filled, hostile
from tests.offline.test_tokenizer import CASES, pair
from tests.unit.fake_bundle import FakeFunction, data_uri, image_bytes

KINDS = ("simple", "demo", "Unigram (t5)", "WordPiece (bert)", "sentencepiece BPE (gemma)")
REFUSED = "text_too_complex"
OPEN_CLIPS = {name: open_clip.tokenizer.get_clean_fn(name) for name in CLEAN}
IMAGE = data_uri(image_bytes())
BODIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "/v1/embeddings input[1]": lambda text: {"input": ["x", text]},
    "/v1/similarity texts[1]": lambda text: {"images": [IMAGE], "texts": ["x", text]},
    "/vectorize texts[1]": lambda text: {"texts": ["x", text]},
    "/v1/classify labels[1]": lambda text: {"input": IMAGE, "labels": ["x", text]},
    "/v1/classify labels[0]": lambda text: {"input": IMAGE, "labels": ["x", "y"], "template": text[:-2] + "{}"},
}


def tokenizer_of(kind: str) -> Tokenizer:
    return pair(next(number for number, (name, _) in enumerate(CASES) if name == kind))[1]


def cost(work: Callable[[], Any], times: int = 1) -> float:
    """Return the least process seconds of several tries; a refusal counts as any other end."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        with suppress(TextError):
            work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def dearest(some: Iterable[Callable[[], Any]]) -> list[Callable[[], Any]]:
    """Return the three dearest pieces of work: on a busy machine one measurement does not tell which is the dearest."""
    return sorted(some, key=lambda work: cost(work, 3))[-3:]


def ratio_to_all(work: Callable[[], Any], others: Sequence[Callable[[], Any]]) -> float:
    """Return how many times as dear as the dearest of others a piece of work is."""
    return min(ratio(work, other, turns=3) for other in others)


def ratio(work: Callable[[], Any], other: Callable[[], Any], turns: int = 5) -> float:
    """Return how many times as dear as another a piece of work is. In turns: a slow moment of the machine is both's."""
    pairs = [(cost(work), cost(other)) for _ in range(turns)]
    return min(one for one, _ in pairs) / min(one for _, one in pairs)


def too_dear(work: Callable[[str], Any], length: int) -> dict[str, float]:
    """Name the hostile texts that cost over twice the dearest honest one of their length, and how many times."""
    # Cut at any place: half a garbled character costs ftfy more than a whole one.
    honest = [filled(unit, length - less) for unit in HONEST.values() for less in (0, 7, 28)]
    most = max(cost(partial(work, text), 3) for text in honest)
    limit = 2 * most
    suspects = [text for text in hostile(length) if cost(partial(work, text)) > limit]
    largest = dearest(partial(work, text) for text in honest)
    times = {text[:30]: ratio_to_all(partial(work, text), largest) for text in suspects}
    return {text: found for text, found in times.items() if found > 2}


def test_there_are_over_100_hostile_texts() -> None:
    assert len(set(hostile(1_000))) > 120


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_costs_more_than_twice_the_largest_honest_one(kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    for unit in HONEST.values():
        for length in (300, 1_000, 10_000):
            tokenizer([filled(unit, length)])  # not refused

    assert too_dear(lambda text: tokenizer([text]), 10_000) == {}


@pytest.mark.parametrize("unit", ["a", "1 ", "\u00e9"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_is_cut_anywhere_in_milliseconds(kind: str, unit: str) -> None:
    """Cohere's `truncate` and text-embeddings-inference's `truncation_direction` may say it of any text."""
    tokenizer, text = tokenizer_of(kind), filled(unit, 10_000)
    spent = {cut: cost(partial(tokenizer, [text], cut), 3) for cut in (None, *CUTS)}  # 2 to 20 ms
    assert {cut: seconds for cut, seconds in spent.items() if seconds > 0.5} == {}


@pytest.mark.parametrize("length", [300, 1_000])
@pytest.mark.parametrize("place", BODIES)
def test_every_route_answers_a_hostile_text_at_a_bounded_cost(place: str, length: int, tmp_path: Path) -> None:
    function, answers = FakeFunction(tmp_path), []
    function.loader.engine.tokenize = tokenizer_of("demo")  # type: ignore[method-assign]
    route, param = place.split()

    def ask(text: str) -> None:
        answers.append(function.http("POST", route, json.dumps(BODIES[place](text)).encode()))

    assert too_dear(ask, length) == {}
    assert {status for status, _ in answers} == {200, 400}
    for error in [answer["error"] for status, answer in answers if status != 200]:
        if route == "/vectorize":
            assert error.startswith(REFUSED)
        else:
            assert (error["code"], error["param"][:6]) == (REFUSED, param[:6])


@pytest.mark.parametrize(("texts", "length"), [(16, 10_000), (256, 300)])
def test_the_texts_of_one_request_share_a_budget(texts: int, length: int) -> None:
    """Many plain texts do not pay for a dear one, nor many small dear ones for each other."""
    model: Any = SimpleNamespace(engine=SimpleNamespace(tokenize=tokenizer_of("simple")), own=None)

    def work(some: list[str]) -> Callable[[], Any]:
        items = [(number, Item(text, f"input[{number}]")) for number, text in enumerate(some)]
        return lambda: _tokenized(items, model, None)

    honest = [work([filled(unit, length)] * texts) for unit in HONEST.values()]
    largest = dearest(honest)
    chain = "é&" + filled("amp;", length - 2)
    for unit in ("a" + "\u0301\u0316" * 60, "ÃƒÂ", "é\nÂ°", "Ãœ\x81", chain):
        assert ratio_to_all(work([filled(unit, length)] * texts), largest) <= 2, unit
    assert ratio_to_all(work([*["x" * length] * (texts - 1), chain]), largest) <= 2


def test_open_clips_cleaning_is_repeated_character_for_character() -> None:
    pieces = st.sampled_from([*UNITS, *HONEST.values(), "Ã ", "\nÃ la", "\u2028Â ", "<", "abc", "\x0b", "\x1c", "&lt;"])

    @settings(max_examples=1_500, database=None)
    @given(st.lists(pieces.map(lambda piece: piece[:40]), max_size=9).map("".join))
    def same(text: str) -> None:
        for name, clean in CLEAN.items():
            with suppress(TextError):
                assert clean(text) == OPEN_CLIPS[name](text)

    for unit in HONEST.values():
        for length in (20, 300, 10_000):
            text = filled(unit, length)
            for name, clean in CLEAN.items():
                assert clean(text) == OPEN_CLIPS[name](text)
    same()


def test_every_character_that_normalizing_sorts_is_known() -> None:
    """Held against the Unicode data of the Python that runs this: a newer one may have more."""
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    into = {one for one in every if not combining(one) and combining(normalize("NFKD", one)[0])}
    assert into == set(text_cleaning._INTO_MARKS)
    assert [one for one in every if combining(one) and (one.isalnum() or one.isspace() or one == "_")] == []


def test_torchs_long_words_are_split_as_open_clip_splits_them() -> None:
    theirs = open_clip.tokenizer.SimpleTokenizer()
    ours = _bpe(open_clip.tokenizer.SimpleTokenizer())
    words = ["a", "the", "photograph", "aaaaaaaa", "<start_of_text>", "<END_OF_TEXT>", "the" * 80, "0", "!?!?"]
    texts = [*words, "xyzzy" * 40, "été", "一只红色的猫", "😀👍🏽"]
    spelled = ["".join(theirs.byte_encoder[byte] for byte in text.encode()) for text in texts]

    assert [ours(word) for word in spelled] == [theirs.bpe(word) for word in spelled]
    assert ratio(lambda: ours("thequickbrownfox" * 625), lambda: ours("thequickbrownfox" * 62)) < 50
