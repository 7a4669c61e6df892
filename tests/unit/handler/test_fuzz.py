"""Hypothesis sends bytes that nearly are images and events that nearly are events, for some time.

FUZZ_SECONDS says how long each goes on (`make fuzz` sets more). What came of it is a response that is not a 5xx, from a
process that holds the shipped code alone and whose memory comes to rest.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.errors import STATUS, ImageError
from handler.imaging.decode import decode
from tests.unit.fake_bundle import as_base64
from tests.unit.fuzzed import MAX_PIXELS, Fuzzed, fuzzed
from tests.unit.handler.test_events import HTTP_API
from tests.unit.strategies import MODES, damaged, events, image_bytes

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 15)
CASES = 200  # of a round
ROUND = settings(deadline=None, database=None, max_examples=CASES, suppress_health_check=list(HealthCheck))
MOST_GROWTH = 0.05  # of memory, after the first quarter


def _route(method: str, path: str) -> dict[str, Any]:
    return {"rawPath": path, "requestContext": {"http": {"method": method, "path": path}}}


# By status: what is drawn may miss a rare one on a slow machine, so that each is sent once for certain.
ONE_OF_EACH: dict[int, dict[str, Any]] = {
    200: {},
    204: _route("OPTIONS", "/v1/embeddings"),
    400: {"body": "{"},
    404: _route("POST", "/v1/nothing"),
    405: _route("PUT", "/v1/embeddings"),
    415: {"headers": {"content-type": "text/csv"}},
}


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Fuzzed]:
    """The shipped code, which has seen every kind of image already: what it holds for each, it holds."""
    with fuzzed(tmp_path / "bundle") as function:
        for kind, modes in MODES.items():
            for mode in modes:
                for seed in range(20):
                    function.invoke(with_body(image_bytes(kind, mode, seed)))
        yield function


def with_body(data: bytes) -> dict[str, Any]:
    return {**HTTP_API, "headers": {"content-type": "image/png"}, "body": as_base64(data), "isBase64Encoded": True}


def go_on(function: Fuzzed, cases: st.SearchStrategy[Any], check: Callable[[Any], object]) -> None:
    """Repeat a property, each round from another seed, and see that memory comes to rest."""

    @ROUND
    @given(cases)
    def one_round(case: Any) -> None:
        check(case)

    started, rounds, baseline = time.monotonic(), 0, 0
    while (passed := time.monotonic() - started) < SECONDS or rounds < 4:
        one_round()
        rounds += 1
        if not baseline and passed >= SECONDS / 4:
            baseline = function.memory()
    memory = function.memory()
    grown = memory / baseline - 1
    print(f"{rounds * CASES:,} cases, memory {baseline / 1e6:.1f} -> {memory / 1e6:.1f} MB, {grown:+.1%}")
    assert grown < MOST_GROWTH


def test_bytes_that_are_nearly_an_image_are_embedded_or_refused(function: Fuzzed) -> None:
    def check(data: bytes) -> str:
        answer = function.invoke(with_body(data))
        body = json.loads(answer["body"])
        if answer["statusCode"] == 200:
            return "embedded"
        error = body["error"]
        assert answer["statusCode"] == STATUS[error["code"]] < 500, (data, body)
        assert len(error["message"]) < 500
        return str(error["code"])

    whole = image_bytes("PNG", "RGB", seed=0)
    assert check(whole) == "embedded"
    assert check(whole[: len(whole) // 2]) == "truncated_image"
    assert check(b"neither") == "not_an_image"
    go_on(function, damaged() | st.binary(max_size=300), check)


def test_events_that_are_nearly_aws_s_get_an_answer_and_never_a_5xx(function: Fuzzed) -> None:
    def check(event: dict[str, Any]) -> int | None:
        answer = function.invoke(event)
        if "statusCode" not in answer:
            assert "error" not in answer or STATUS[answer["error"]["code"]] < 500, (event, answer)
            return None
        assert answer["statusCode"] < 500, (event, answer)
        assert isinstance(answer["body"], str)
        headers = answer["headers"] if "headers" in answer else answer["multiValueHeaders"]
        assert all("\n" not in str(value) and "\r" not in str(value) for value in headers.values())
        return int(answer["statusCode"])

    for status, changes in ONE_OF_EACH.items():
        assert check(HTTP_API | changes) == status
    go_on(function, events(), check)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM" + b"\0" * 60, b"RIFF\0\0\0\0WEBPVP8 "])
def test_signatures_alone_are_no_images(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode(data, MAX_PIXELS)
