"""Halves of surrogate pairs, controls, noncharacters: in any string of any request a response, and no fault of ours."""

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from handler.errors import STATUS
from handler.imaging import s3
from tests.unit.fake_bundle import FakeFunction, data_uri, image_bytes

RED = data_uri(image_bytes())
ODD = [
    *("\ud800", "\udfff", "\udc00\ud800", "a\ud83d", "\x00", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe"),
    *("\U0010ffff", "\u202e", "\u200b", "\r\nx: y", "%ed%a0%80", "%00", "\\ud800", "é" * 300, "..", "../../etc/passwd"),
]
BODIES: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "text": lambda odd: ("/v1/embeddings", {"input": odd}),
    "text, named": lambda odd: ("/v1/embeddings", {"input": [{"text": odd}]}),
    "image": lambda odd: ("/v1/embeddings", {"input": {"image": odd}}),
    "data URI": lambda odd: ("/v1/embeddings", {"input": f"data:image/{odd};base64,{odd}"}),
    "key": lambda odd: ("/v1/embeddings", {"input": {"image": f"s3://photos/{odd}"}}),
    "version": lambda odd: ("/v1/embeddings", {"input": {"image": f"s3://photos/a?versionId={odd}"}}),
    "bucket": lambda odd: ("/v1/embeddings", {"input": {"image": f"s3://{odd}/a"}}),
    "model": lambda odd: ("/v1/embeddings", {"input": "a", "model": odd}),
    "format": lambda odd: ("/v1/embeddings", {"input": "a", "encoding_format": odd}),
    "modality": lambda odd: ("/v1/embeddings", {"input": "a", "modality": odd}),
    "user": lambda odd: ("/v1/embeddings", {"input": "a", "user": odd}),
    "field": lambda odd: ("/v1/embeddings", {"input": "a", odd: 1}),
    "field of an item": lambda odd: ("/v1/embeddings", {"input": [{odd: "a"}]}),
    "label": lambda odd: ("/v1/classify", {"input": RED, "labels": ["a", odd]}),
    "template": lambda odd: ("/v1/classify", {"input": RED, "labels": ["a"], "template": odd + "{}"}),
    "text of many": lambda odd: ("/v1/similarity", {"images": [RED], "texts": [odd]}),
    "weaviate": lambda odd: ("/vectorize", {"texts": [odd]}),
    "weaviate's image": lambda odd: ("/vectorize", {"images": [odd]}),
}
ENVELOPE: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "path": lambda event, odd: event.update(rawPath=f"/{odd}"),
    "query": lambda event, odd: event.update(rawQueryString=f"model={odd}&{odd}=1"),
    "content type": lambda event, odd: event["headers"].update({"content-type": odd}),
    "header": lambda event, odd: event["headers"].update({odd: odd, "origin": odd, "accept-encoding": odd}),
    "method": lambda event, odd: event["requestContext"]["http"].update(method=odd),
    "stage": lambda event, odd: event["requestContext"].update(stage=odd),
    "route": lambda event, odd: event.update(routeKey=f"ANY /{odd}{{proxy+}}", pathParameters={"proxy": odd}),
    "body": lambda event, odd: event.update(body=odd),
    "encoded body": lambda event, odd: event.update(body=odd, isBase64Encoded=True),
}


@cache
def s3_client() -> Any:
    return boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFunction]:
    """A function whose S3 has nothing, and whose client checks and encodes each request as the real one does."""
    client = s3_client()
    stub = Stubber(client)
    for _ in range(5):
        stub.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    monkeypatch.setattr(s3, "_client", lambda: client)
    with stub:
        yield FakeFunction(tmp_path, allowed_buckets=("photos",), cors_origins=("*",))


def asked(path: str, body: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST"}, "stage": "$default"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def check(answer: dict[str, Any]) -> None:
    """The response is one that Lambda can send on, and no fault of ours."""
    json.dumps(answer).encode()
    assert answer["statusCode"] < 500, answer["body"]
    if answer["statusCode"] >= 400:
        error = json.loads(answer["body"])["error"]
        code = error["code"] if isinstance(error, dict) else error.partition(":")[0]
        assert STATUS[code] == answer["statusCode"]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("place", BODIES)
def test_an_unusual_string_anywhere_in_a_body_is_answered(function: FakeFunction, place: str, odd: str) -> None:
    path, body = BODIES[place](odd)
    check(function.invoke(asked(path, body)))  # escaped
    raw = json.dumps(body, ensure_ascii=False)
    check(function.invoke({**asked(path, body), "body": raw}))  # as it is
    encoded = base64.b64encode(raw.encode("utf-8", "surrogatepass")).decode()
    check(function.invoke({**asked(path, body), "body": encoded, "isBase64Encoded": True}))
    if path == "/v1/embeddings":
        direct = function.invoke(body)
        assert json.dumps(direct)
        assert direct.get("error", {}).get("type") != "server_error"


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("place", ENVELOPE)
def test_an_unusual_string_anywhere_in_an_envelope_is_answered(function: FakeFunction, place: str, odd: str) -> None:
    event = asked("/v1/embeddings", {"input": "a"})
    ENVELOPE[place](event, odd)
    check(function.invoke(event))


@pytest.mark.parametrize("place", ["key", "version"])
def test_half_a_surrogate_pair_in_a_reference_is_an_invalid_value(function: FakeFunction, place: str) -> None:
    path, body = BODIES[place]("\ud800")
    error = json.loads(function.invoke(asked(path, body))["body"])["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "input")
