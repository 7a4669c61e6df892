"""What a message says: the value as the request has it, and what to send instead."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_bundle import FakeFunction


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle")


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"input": ' + b"1" * 9_000 + b"}"])
def test_a_message_does_not_speak_of_python(tmp_path: Path, raw: bytes) -> None:
    _, answer = FakeFunction(tmp_path / "bundle").http("POST", "/v1/embeddings", raw)
    assert not re.search(r"recursion|sys\.|int_max", answer["error"]["message"])


def test_an_empty_body_is_said_to_be_empty(function: FakeFunction) -> None:
    status, answer = function.http("POST", "/v1/classify", b"")
    assert (status, answer["error"]["code"]) == (400, "invalid_json")
    assert "is empty" in answer["error"]["message"]


def test_json_that_is_not_utf_8_is_told_where_and_how_to_send_it(function: FakeFunction) -> None:
    for encoding in ("latin-1", "cp1252"):  # what PowerShell 5 sends, and what an editor on Windows saves
        status, answer = function.http("POST", "/v1/embeddings", '{"input": "un café"}'.encode(encoding))
        error = answer["error"]
        assert (status, error["code"]) == (400, "invalid_json")
        assert error["message"].startswith("the body is not UTF-8 at its byte 17: send JSON as UTF-8 ")


@pytest.mark.parametrize(
    "body",
    [
        {"input": [{"type": None}]},
        {"messages": [{"content": "a"}]},
        {"input": "a", "late_chunking": True},
        {"input": {"content": "a", "role": False}},
    ],
)
def test_a_message_names_values_as_json_has_them(function: FakeFunction, body: Any) -> None:
    assert re.search(r" is (null|true|false)\b", str(function.post(body)[1]))


@pytest.mark.parametrize("reference", ["file:///a.png", "gs://a/b", "YQ", "-_-_", "a caption"])
def test_the_message_for_what_is_no_base64_says_what_to_send(function: FakeFunction, reference: str) -> None:
    error = function.post({"input": [{"image": reference}]})[1]["error"]
    assert error["code"] == "invalid_base64"
    assert "send an image as base64 (A-Z, a-z, 0-9, + and /, filled up with =)" in error["message"]
