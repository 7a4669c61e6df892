"""The API's document: it has every route, its limits are the settings', its models are the bundle's.

That requests which it allows are taken, and others refused, is schemathesis' to say: tests/clients/test_document.py.
"""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import STATUS
from handler.http.routes import ROUTES
from tests.unit.fake_bundle import FIRST, SECOND, FakeFunction

PAGES = {"/", "/docs"}


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", max_items=7)


@pytest.fixture
def document(function: FakeFunction) -> Any:
    status, body = function.get("/openapi.json")
    assert status == 200
    return body


def test_every_route_and_method_is_described(document: Any) -> None:
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert described == {(path, method) for path in ROUTES if path not in PAGES for method in ROUTES[path]}
    assert document["openapi"].startswith("3.1.")


def test_its_limits_are_the_settings_and_its_models_the_bundle_s(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ClassifyRequest"]["properties"]["labels"]["maxItems"] == 7
    assert schemas["EmbeddingsRequest"]["properties"]["model"]["anyOf"][0]["enum"] == [FIRST, SECOND]
    assert schemas["Error"]["properties"]["error"]["properties"]["code"]["enum"] == sorted(STATUS)


def test_its_examples_are_answered(function: FakeFunction, document: Any) -> None:
    asked = 0
    for path, methods in document["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            status, body = function.http("POST", path, json.dumps(example["value"]).encode())
            assert status == 200, body
            asked += 1
    assert asked == 11


def test_without_a_bundle_it_still_says_what_there_would_be(function: FakeFunction) -> None:
    function.service._models = None
    assert function.get("/openapi.json")[1]["paths"]


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_pages_are_compressed_for_those_who_take_it(function: FakeFunction, path: str) -> None:
    event = {"rawPath": path, "requestContext": {"http": {"method": "GET"}}}
    plain = function.invoke(event)
    packed = function.invoke({**event, "headers": {"Accept-Encoding": "gzip, deflate, br"}})

    assert (plain["isBase64Encoded"], packed["isBase64Encoded"]) == (False, True)
    assert packed["headers"]["content-encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(packed["body"])).decode() == plain["body"]


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip;q=0", False),
        ("br, GZIP; q=0.000", False),
        ("x-gzip-not", False),
        ("br, Gzip;q=0.5", True),
        ("gzip", True),
    ],
)
def test_gzip_is_sent_to_whom_it_is_acceptable_and_caches_know_of_both(
    tmp_path: Path, accepted: str, packed: bool
) -> None:
    """RFC 9110, 12.4.2: a weight of 0 means "not acceptable"."""
    function = FakeFunction(tmp_path / "bundle")
    for method in ("GET", "HEAD"):
        event = {"rawPath": "/openapi.json", "requestContext": {"http": {"method": method}}}
        answer = function.invoke({**event, "headers": {"accept-encoding": accepted}})
        assert (answer["headers"].get("content-encoding") == "gzip") is packed
        assert answer["headers"]["vary"] == "accept-encoding"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_allow_nothing_but_what_is_in_them(function: FakeFunction, path: str) -> None:
    answer = function.invoke({"rawPath": path, "requestContext": {"http": {"method": "GET"}}})
    policy = answer["headers"]["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert "https:" not in policy
    assert answer["headers"]["content-type"] == "text/html; charset=utf-8"
    assert "data-search" not in answer["body"].partition("<script")[0]


def test_with_a_search_the_page_is_told_so_and_may_show_pictures_of_s3_alone(tmp_path: Path) -> None:
    answer = FakeFunction(tmp_path / "bundle", search=True).invoke(
        {"rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
    )
    assert "<body data-search>" in answer["body"]
    policy = dict(part.split(" ", 1) for part in answer["headers"]["content-security-policy"].split("; "))
    assert policy.pop("img-src") == "'self' data: blob: https://*.amazonaws.com https://*.amazonaws.com.cn"
    assert "http" not in str(policy)
