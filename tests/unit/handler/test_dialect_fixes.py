"""An error of another vendor's API names the fix in that API's own words, and a request with the fix is answered."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_bundle import FakeFunction
from tests.unit.handler.dialect_requests import COHERE, CONTENT
from tests.unit.handler.test_events import HTTP_API, LOAD_BALANCER

MANY = ["a"] * 7_000  # whose vectors a load balancer passes on as base64, and not as float
INPUTS = [{"content": CONTENT[:1]}] * len(MANY)
FEWER = MANY[:5_900]
POSTED = {"path": "/v2/embed", "rawPath": "/v2/embed"}  # as a load balancer and an HTTP API have it
# A request, the fix that its error is to name, and what the request has with that fix.
FIXES: list[tuple[str, Any, str, Any]] = [
    ("/v2/embed", {**COHERE, "texts": ["a"], "output_dimension": 3}, "leave `output_dimension` out", {}),
    ("/v2/embed", {**COHERE, "texts": MANY}, 'set embedding_types to ["base64"]', {"embedding_types": ["base64"]}),
    ("/v1/multimodalembeddings", {"inputs": INPUTS}, 'set encoding_format to "base64"', {"encoding_format": "base64"}),
    ("/v1/embeddings", {"input": "a", "output_dimension": 3}, "leave `output_dimension` out", {}),
    ("/v1/embeddings", {"input": MANY, "truncation": True}, 'set encoding_format to "base64"',
     {"encoding_format": "base64"}),
    ("/v1/embeddings", {"input": MANY, "task": "x"}, 'set embedding_type to "base64"', {"embedding_type": "base64"}),
    ("/v1/embeddings", {"input": "a", "embedding_type": "int8", "normalized": False}, "leave `normalized` out", {}),
    ("/v1/embeddings", {"input": MANY}, 'set encoding_format to "base64"', {"encoding_format": "base64"}),
    ("/v1/embeddings", {"input": "a", "encoding_format": "int8", "normalize": False}, "leave `normalize` out", {}),
    ("/embed", {"inputs": "a", "dimensions": 3}, "leave `dimensions` out", {}),
    ("/embed", {"inputs": MANY}, "1,000,000: send at most 5,", {"inputs": FEWER}),
    ("/vectorize", {"texts": MANY}, "1,000,000: send at most 5,", {"texts": FEWER}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "fix", "change"), FIXES)
def test_the_fix_that_an_error_names_is_one_that_the_request_can_have(
    tmp_path: Path, path: str, body: Any, fix: str, change: Any
) -> None:
    function = FakeFunction(tmp_path / "bundle", max_items=len(MANY))

    def answer(body: Any) -> tuple[int, str]:
        found = function.invoke({**LOAD_BALANCER, "path": path, "body": json.dumps(body)})
        return found["statusCode"], found["body"].replace('\\"', '"')

    status, text = answer(body)
    assert status in (400, 413)
    assert fix in text
    left_out = fix.split("`")[1] if "`" in fix else ""
    status, text = answer({**{name: value for name, value in body.items() if name != left_out}, **change})
    assert status == 200, text


@pytest.mark.parametrize("event", [LOAD_BALANCER, HTTP_API], ids=["load balancer", "Lambda"])
@pytest.mark.parametrize("text", ["a" * 9_000, "\u7ea2" * 9_000, '"\\' * 4_000], ids=["ASCII", "Chinese", "escaped"])
def test_texts_that_cohere_s_response_repeats_are_told_and_fewer_of_them_are_answered(
    tmp_path: Path, event: dict[str, Any], text: str
) -> None:
    """Vectors of 4 dimensions are nothing beside them: base64 would not help, and 0 at once is no advice."""
    function = FakeFunction(tmp_path / "bundle", max_items=1_000, max_body_bytes=100_000_000)

    def answer(count: int) -> tuple[int, str]:
        body = json.dumps({**COHERE, "texts": [text] * count})
        found = function.invoke({**event, **POSTED, "body": body})
        return found["statusCode"], json.loads(found["body"]).get("message", "")

    status, message = answer(1_000)
    assert status == 413
    assert "base64" not in message
    [more, fit] = re.findall(r"repeats up to ([\d,]+) more, .* send at most ([\d,]+) at once$", message)[0]
    assert int(more.replace(",", "")) >= len(json.dumps(json.dumps([text] * 1_000)))
    count = int(fit.replace(",", ""))
    assert count > 0
    assert answer(count) == (200, "")
    assert answer(count + 1)[0] == 413
