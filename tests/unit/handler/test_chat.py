"""`messages` as clients of vLLM's Qwen3-VL-Embedding send them: with texts of no characters.

docs.vllm.ai, "Vision Embedding Online": the last message is one of the assistant, with such a text, to be continued.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.fake_bundle import FakeFunction
from tests.unit.handler.dialect_requests import CONTENT
from tests.unit.handler.test_dialects import ABC_UNIT, BOTH, RED_UNIT

EMPTY: dict[str, Any] = {"type": "text", "text": ""}
TEXT, IMAGE = CONTENT
LAST = {"role": "assistant", "content": [EMPTY]}


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", max_items=4, max_body_bytes=30_000)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "user", "content": [IMAGE, EMPTY]}, LAST], RED_UNIT),
        ([{"role": "user", "content": [TEXT]}, LAST], ABC_UNIT),
        ([{"role": "user", "content": [IMAGE, TEXT]}, LAST], BOTH),
        ([{"role": "user", "content": "abc"}, {"role": "assistant", "content": ""}], ABC_UNIT),
        ([{"role": "user", "content": [{"type": "input_text", "text": ""}, IMAGE]}], RED_UNIT),
        ([{"role": "system", "content": [TEXT]}, {"role": "user", "content": [IMAGE, EMPTY]}, LAST], BOTH),
    ],
)
def test_a_text_of_no_characters_is_passed_over(function: FakeFunction, messages: Any, expected: list[float]) -> None:
    flags = {"continue_final_message": True, "add_special_tokens": True, "encoding_format": "float"}
    status, answer = function.post({"messages": messages, **flags})
    assert status == 200, answer
    np.testing.assert_allclose([row["embedding"] for row in answer["data"]], [expected], atol=1e-6)


@pytest.mark.parametrize("content", ["", [EMPTY], [EMPTY, EMPTY]])
def test_messages_of_nothing_else_are_refused(function: FakeFunction, content: Any) -> None:
    status, answer = function.post({"messages": [{"role": "user", "content": content}]})
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "empty_input", "messages")


def test_what_is_wrong_behind_a_text_of_no_characters_is_named_by_its_place(function: FakeFunction) -> None:
    messages = [{"role": "user", "content": [EMPTY, {"type": "text", "text": 1}]}]
    assert function.post({"messages": messages})[1]["error"]["param"] == "messages[0].content[1].text"


@pytest.mark.parametrize("extra", [{"detail": "low"}, {"image_url": ""}])
def test_an_empty_text_with_another_field_is_not_passed_over(function: FakeFunction, extra: Any) -> None:
    status, answer = function.post({"messages": [{"role": "user", "content": [TEXT, {**EMPTY, **extra}]}]})
    assert (status, answer["error"]["code"]) == (400, "unknown_field")


def test_an_item_of_input_has_no_texts_of_no_characters(function: FakeFunction) -> None:
    status, answer = function.post({"input": [{"content": [IMAGE, EMPTY]}]})
    assert (status, answer["error"]["code"]) == (400, "empty_input")
