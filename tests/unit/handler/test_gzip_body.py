"""Bodies that a client compressed: taken, and never inflated past a limit that is known before."""

import base64
import gzip
import json
import random
import tracemalloc
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_bundle import FakeFunction

BODY = json.dumps({"input": "abc"}).encode()
LIMIT = 2_000_000


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the same in every process, which pytest names the cases by


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", max_body_bytes=LIMIT)


def send(function: FakeFunction, body: bytes, coding: str = "gzip") -> tuple[int, Any]:
    event = {
        "version": "2.0",
        "rawPath": "/v1/embeddings",
        "headers": {"content-type": "application/json", "content-encoding": coding},
        "requestContext": {"http": {"method": "POST"}, "stage": "$default"},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    answer = function.invoke(event)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_gzip_is_taken(function: FakeFunction, coding: str) -> None:
    assert send(function, packed(BODY), coding)[1]["object"] == "list"
    two = packed(BODY[:5]) + packed(BODY[5:])
    assert send(function, two, coding)[1]["object"] == "list"


@pytest.mark.parametrize("coding", ["", "identity"])
def test_no_coding_is_taken_as_it_is(function: FakeFunction, coding: str) -> None:
    assert send(function, BODY, coding)[0] == 200


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [
        (zlib.compress(BODY), "deflate", 415, "unsupported_media_type"),
        (BODY, "br", 415, "unsupported_media_type"),
        (packed(BODY), "gzip, gzip", 415, "unsupported_media_type"),
        (BODY, "gzip", 400, "invalid_gzip"),
        (b"", "gzip", 400, "invalid_gzip"),
        (packed(BODY).decode(errors="replace").encode(), "gzip", 400, "invalid_gzip"),  # as HTTP APIs pass on JSON
        (packed(BODY)[:-3], "gzip", 400, "invalid_gzip"),
        (packed(BODY)[:-8] + b"\0" * 8, "gzip", 400, "invalid_gzip"),
        (packed(BODY) + b"more", "gzip", 400, "invalid_gzip"),
        (packed(b"") * 1_000 + packed(BODY), "gzip", 400, "invalid_gzip"),
        (packed(b" " * 1_500_000), "gzip", 400, "invalid_gzip"),  # 1,000 times as large
        (packed(json.dumps({"input": [f"{n}" for n in range(400_000)]}).encode()), "gzip", 413,
         "body_too_large"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(
    function: FakeFunction, body: bytes, coding: str, status: int, code: str
) -> None:
    found, answer = send(function, body, coding)
    assert (found, answer["error"]["code"]) == (status, code), answer


@cache
def blanks(count: int) -> bytes:
    """White space of JSON that is not compressed to nothing."""
    return bytes(random.Random(1).choices(b" \n\t\r", k=count))  # noqa: S311


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
def test_the_limit_is_of_all_members_together(function: FakeFunction, members: int, more: int, status: int) -> None:
    whole = BODY + blanks(LIMIT + more - len(BODY))
    step = -(-len(whole) // members)
    parts = [gzip.compress(whole[start : start + step], 1) for start in range(0, len(whole), step)]
    assert len(parts) == members
    assert send(function, b"".join(parts))[0] == status


def test_a_body_that_the_gateway_took_for_text_says_what_to_send(function: FakeFunction) -> None:
    _, answer = send(function, packed(BODY).decode(errors="replace").encode())
    assert "application/vnd.api+json" in answer["error"]["message"]


def test_a_bomb_never_takes_more_memory_than_the_limit(function: FakeFunction) -> None:
    bomb = packed(packed(b"\0" * 100_000_000)) + packed(b"\0" * 100_000_000)
    tracemalloc.start()
    send(function, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LIMIT
