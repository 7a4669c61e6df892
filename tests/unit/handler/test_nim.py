"""`modality` of NVIDIA NIM's embeddings API: one of `text`, `image` and `text_image`, or a list of them.

docs.nvidia.com, "API Reference for NVIDIA NeMo Retriever Embedding NIM": a list has as many entries as `input`, or one
for the whole batch.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.fake_bundle import FIRST, FakeFunction, as_base64, image_bytes
from tests.unit.handler.dialect_requests import RED
from tests.unit.handler.test_dialects import ABC_UNIT, RED_UNIT

BODY = {"model": FIRST, "input_type": "passage", "encoding_format": "float"}
SENT = {"without truncate": BODY, "with truncate": {**BODY, "truncate": "NONE"}}
IMAGE = as_base64(image_bytes())


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", max_items=4, max_body_bytes=30_000)


@pytest.mark.parametrize("body", SENT.values(), ids=SENT)
@pytest.mark.parametrize(
    ("given", "modality", "expected"),
    [
        (["abc", "abc"], ["text"], [ABC_UNIT, ABC_UNIT]),
        (["abc", "abc"], ["text", "text"], [ABC_UNIT, ABC_UNIT]),
        (["abc", "abc"], "text", [ABC_UNIT, ABC_UNIT]),
        ("abc", ["text"], [ABC_UNIT]),
        ([RED], ["image"], [RED_UNIT]),
        ([RED, IMAGE], "image", [RED_UNIT, RED_UNIT]),
        (["abc", IMAGE], ["text", "image"], [ABC_UNIT, RED_UNIT]),
        ([{"text": "abc"}, IMAGE], ["image"], [ABC_UNIT, RED_UNIT]),  # an object says itself what it is
        (["abc", RED], None, [ABC_UNIT, RED_UNIT]),
    ],
)
def test_a_modality_says_what_each_string_is(
    function: FakeFunction, body: dict[str, Any], given: Any, modality: Any, expected: list[list[float]]
) -> None:
    status, answer = function.post({**body, "input": given, "modality": modality})
    assert status == 200, answer
    np.testing.assert_allclose([row["embedding"] for row in answer["data"]], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "modality", "says"),
    [
        (["abc"] * 3, ["text", "text"], "invalid_value: modality has 2 words for 3 items: send one, or as many"),
        (["abc"], ["text", "text"], "invalid_value: modality has 2 words for 1 item: send one, or as many"),
        (["abc"], [], "empty_input: `modality` is an empty list"),
        (["abc"], ["audio"], "invalid_value: modality[0] is 'audio': set it to text or image"),
        (["abc"], [1], "invalid_type: modality[0] is a whole number: send a string"),
        (
            ["abc"],
            ["text_image"],
            'invalid_value: modality is text_image, a text and an image in one string: send {"te',
        ),
        (["abc", "a"], ["image"], "invalid_base64: input[0]"),
        ("abc", ["image"], "invalid_base64: input"),
        (["abc"] * 5, ["text"], "too_many_items: input: 5 items: send at most 4 at once"),
        ([], ["text"], "empty_input: `input` is an empty list"),
        ([[1, 2]], ["text"], "token_ids_not_supported: `input` holds token ids"),
        (None, ["text"], "invalid_type: input is null"),
    ],
)
def test_a_modality_that_does_not_fit_is_told(function: FakeFunction, given: Any, modality: Any, says: str) -> None:
    for body in SENT.values():
        status, answer = function.post({**body, "input": given, "modality": modality})
        assert (status, answer["detail"][: len(says)]) == (400, says)


def test_a_list_without_input_is_told_what_is_missing(function: FakeFunction) -> None:
    status, answer = function.post({**BODY, "modality": ["text"]})
    assert (status, answer["detail"].partition(":")[0]) == (400, "missing_input")


def test_a_list_is_of_our_own_route_where_that_dialect_is_off(tmp_path: Path) -> None:
    off = FakeFunction(tmp_path / "off", dialects=("cohere",))
    status, answer = off.post({**BODY, "input": ["abc"], "modality": ["text"]})
    assert (status, answer["error"]["message"]) == (400, "modality is a list: send a string")
