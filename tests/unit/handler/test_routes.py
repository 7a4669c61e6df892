"""What every route has in common: HEAD, OPTIONS, CORS, and errors in the API's own shape."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from handler.http.routes import PAGES, ROUTES
from tests.unit.fake_bundle import SECOND, FakeFunction

ORIGIN = "https://example.com"
# What pages ask to send: headers of openai's package for JavaScript, which adds more of them, and a gateway's key.
SENT = ("authorization", "content-type", "x-api-key", "x-stainless-lang", "x-stainless-os", "x-stainless-retry-count")


def call(function: FakeFunction, method: str, path: str, **headers: str) -> dict[str, Any]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    event = {"rawPath": path, "headers": names, "requestContext": {"http": {"method": method}, "stage": "$default"}}
    return function.invoke(event)


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle")


@pytest.fixture
def open_function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", cors_origins=(ORIGIN, "http://localhost:3000"))


@pytest.mark.parametrize("path", [path for path in ROUTES if "GET" in ROUTES[path]])
def test_head_returns_the_headers_of_get_and_no_body(function: FakeFunction, path: str) -> None:
    got, head = call(function, "GET", path), call(function, "HEAD", path)
    assert (head["statusCode"], head["headers"]) == (got["statusCode"], got["headers"])
    assert head["body"] == ""


@pytest.mark.parametrize("path", ROUTES)
def test_options_names_the_methods_and_lets_no_other_origin_in(function: FakeFunction, path: str) -> None:
    answer = call(function, "OPTIONS", path, origin=ORIGIN, access_control_request_method="POST")
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert set(answer["headers"]) == {"allow", "x-request-id"}
    assert set(ROUTES[path]) <= set(answer["headers"]["allow"].split(", "))


@pytest.mark.parametrize("path", ROUTES)
def test_a_method_that_a_route_does_not_take_is_405_with_allow(function: FakeFunction, path: str) -> None:
    answer = call(function, "DELETE", path)
    assert answer["statusCode"] == 405
    assert "method_not_allowed" in answer["body"]  # in whatever shape the route's clients read
    assert "OPTIONS" in answer["headers"]["allow"]


def test_a_page_of_an_allowed_origin_passes_the_preflight_and_reads_every_answer(open_function: FakeFunction) -> None:
    before = call(
        open_function,
        "OPTIONS",
        "/v1/embeddings",
        origin=ORIGIN,
        access_control_request_method="POST",
        access_control_request_headers=",".join(SENT),
    )
    assert before["headers"]["access-control-allow-origin"] == ORIGIN
    assert "POST" in before["headers"]["access-control-allow-methods"]
    allowed = before["headers"]["access-control-allow-headers"].split(", ")
    for name in SENT:  # by Fetch, "CORS-preflight fetch": `*` is any header but authorization
        assert name in allowed or ("*" in allowed and name != "authorization"), name
    for path in ("/v1/models", "/nowhere", "/v1/embeddings"):
        answer = call(open_function, "GET", path, origin=ORIGIN)
        assert answer["headers"]["access-control-allow-origin"] == ORIGIN, path
        assert answer["headers"]["vary"] == "origin"


def test_a_page_of_an_allowed_origin_may_read_every_header_of_ours(open_function: FakeFunction) -> None:
    event = {
        "rawPath": "/v1/embeddings",
        "requestContext": {"http": {"method": "POST"}},
        "headers": {"origin": ORIGIN},
        "body": json.dumps({"input": "a" * 99}),
    }
    headers = open_function.invoke(event)["headers"]
    ours = {name for name in headers if name.startswith("x-")}
    assert "x-openclip-full" in ours
    assert {*ours, "server-timing"} == set(headers["access-control-expose-headers"].split(", "))


def test_a_page_of_another_origin_reads_nothing(open_function: FakeFunction) -> None:
    for method in ("OPTIONS", "GET"):
        answer = call(
            open_function, method, "/v1/models", origin="https://evil.example", access_control_request_method="GET"
        )
        assert not any(name.startswith("access-control") for name in answer["headers"])
        assert answer["headers"]["vary"] == "origin"  # or a cache would hand one origin's answer to another


def test_a_page_that_is_compressed_varies_by_both(open_function: FakeFunction) -> None:
    answer = call(open_function, "GET", "/docs", origin=ORIGIN, accept_encoding="gzip")
    assert answer["headers"]["vary"] == "accept-encoding, origin"


def test_a_star_lets_every_page_in(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", cors_origins=("*",))
    assert call(function, "GET", "/v1/models", origin=ORIGIN)["headers"]["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "event",
    [
        {"requestContext": {"http": 5}},
        {"requestContext": {"http": {"method": 5}}},
        {"requestContext": {"http": {"method": "GET"}}, "rawPath": ["/"]},
        {"requestContext": {"http": {"method": "GET"}}, "rawPath": "/health", "headers": [1]},
        {"requestContext": {"elb": {}}, "httpMethod": 7},
        {"requestContext": {}, "httpMethod": "GET", "path": "/health", "queryStringParameters": "deep=true"},
        {"requestContext": {"http": {"method": "POST"}}, "rawPath": "/v1/embeddings", "body": {"input": "a"}},
    ],
)
def test_an_envelope_that_nobody_sends_is_refused(function: FakeFunction, event: Any) -> None:
    answer = function.invoke(event)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (400, "invalid_event")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_kept_by_browsers_for_minutes_and_can_be_turned_off(tmp_path: Path, path: str) -> None:
    on, off = FakeFunction(tmp_path / "on"), FakeFunction(tmp_path / "off", pages=False)

    assert call(on, "GET", path)["headers"]["cache-control"] == "public, max-age=300"
    for method in ("GET", "HEAD", "OPTIONS"):
        assert call(off, method, path)["statusCode"] == 404
    error = json.loads(call(off, "GET", path)["body"])["error"]
    assert error["code"] == "not_found"
    assert not any(f" {page}," in error["message"] for page in PAGES)
    assert call(off, "GET", "/v1/models")["statusCode"] == 200


@pytest.mark.parametrize("path", [f"/v1/models/{SECOND}", f"/v1/models/{quote(SECOND, safe='')}"])
def test_a_model_is_described_by_its_id_with_its_slashes_encoded_or_not(function: FakeFunction, path: str) -> None:
    answer = call(function, "GET", path)
    assert "/" in SECOND
    assert answer["statusCode"] == 200
    listed = json.loads(call(function, "GET", "/v1/models")["body"])["data"]
    assert json.loads(answer["body"]) == listed[1]


def test_a_model_is_found_below_a_base_path_and_by_the_gateway_s_route(tmp_path: Path) -> None:
    below = FakeFunction(tmp_path / "bundle", base_path="/clip")
    assert json.loads(call(below, "GET", f"/clip/v1/models/{SECOND}")["body"])["id"] == SECOND
    event = {
        "rawPath": f"/a-domain-s-own/v1/models/{SECOND}",
        "routeKey": "GET /v1/models/{proxy+}",
        "pathParameters": {"proxy": SECOND},
        "requestContext": {"http": {"method": "GET"}, "stage": "$default"},
    }
    assert json.loads(below.invoke(event)["body"])["id"] == SECOND


@pytest.mark.parametrize("model", ["other", "{model}", "..", "%2e%2e%2fhealth", "/"])
def test_a_model_that_is_not_there_is_404_with_the_ids_that_are(function: FakeFunction, model: str) -> None:
    answer = call(function, "GET", f"/v1/models/{model}")
    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["code"]) == (404, "model_not_found")
    assert SECOND in error["message"]


def test_a_list_with_a_slash_behind_it_is_told_to_leave_it_out(function: FakeFunction) -> None:
    error = json.loads(call(function, "GET", "/v1/models/")["body"])["error"]
    assert error["code"] == "not_found"
    assert "leave out the slashes that are too many: '/v1/models'" in error["message"]
