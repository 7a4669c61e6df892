"""The shapes in which AWS calls a function, as its documentation prints them, and the shapes it wants back."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.errors import ApiError
from handler.http.events import is_http, parse
from tests.unit.fake_bundle import FakeFunction, image_bytes

BODY = json.dumps({"input": "ä"}, ensure_ascii=False)
LIMIT = 1_000_000

# docs.aws.amazon.com: apigateway "Lambda proxy integrations for HTTP APIs" (format 2.0); a Function URL's is the same
HTTP_API = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/v1/embeddings",
    "rawQueryString": "",
    "headers": {"content-type": "application/json", "x-two": "a,b"},
    "requestContext": {
        "accountId": "123456789012",
        "apiId": "api-id",
        "http": {"method": "POST", "path": "/v1/embeddings", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
        "requestId": "id",
        "stage": "$default",
    },
    "body": BODY,
    "isBase64Encoded": False,
}
# docs.aws.amazon.com: apigateway "Lambda proxy integrations in API Gateway" (format 1.0)
REST_API = {
    "resource": "/{proxy+}",
    "path": "/v1/embeddings",
    "httpMethod": "POST",
    "headers": {"Content-Type": "application/json"},
    "multiValueHeaders": {"Content-Type": ["application/json"]},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": {"proxy": "v1/embeddings"},
    "requestContext": {
        "accountId": "123456789012",
        "stage": "prod",
        "httpMethod": "POST",
        "path": "/prod/v1/embeddings",
    },
    "body": BODY,
    "isBase64Encoded": False,
}
# docs.aws.amazon.com: elasticloadbalancing "Lambda functions as targets"
LOAD_BALANCER = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:region:123456789012:targetgroup/a/b"}},
    "httpMethod": "POST",
    "path": "/v1/embeddings",
    "queryStringParameters": {},
    "headers": {"content-type": "application/json", "host": "example.com"},
    "body": BODY,
    "isBase64Encoded": False,
}
MULTI_VALUE = {
    key: value for key, value in LOAD_BALANCER.items() if key not in ("headers", "queryStringParameters")
} | {"multiValueHeaders": {"content-type": ["application/json"]}, "multiValueQueryStringParameters": {}}
SHAPES = {"HTTP API": HTTP_API, "REST API": REST_API, "ALB": LOAD_BALANCER, "ALB multi-value": MULTI_VALUE}


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle")


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("event", SHAPES.values(), ids=SHAPES)
def test_each_envelope_is_answered_as_a_direct_invoke_is(
    function: FakeFunction, event: dict[str, Any], encoded: bool
) -> None:
    body = base64.b64encode(BODY.encode()).decode() if encoded else BODY

    answer = function.invoke({**event, "body": body, "isBase64Encoded": encoded})

    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    assert json.loads(answer["body"]) == function.invoke(json.loads(BODY))


@pytest.mark.parametrize("event", SHAPES.values(), ids=SHAPES)
def test_an_image_arrives_in_each_envelope(function: FakeFunction, event: dict[str, Any]) -> None:
    name = "multiValueHeaders" if "headers" not in event else "headers"
    kind: Any = ["image/png"] if name == "multiValueHeaders" else "image/png"
    body = base64.b64encode(image_bytes()).decode()
    answer = function.invoke({**event, name: {"Content-Type": kind}, "body": body, "isBase64Encoded": True})
    assert answer["statusCode"] == 200, answer["body"]


@pytest.mark.parametrize("path", ["/", "/openapi.json"])
def test_a_page_is_compressed_where_its_base64_becomes_bytes_again(function: FakeFunction, path: str) -> None:
    """docs.aws.amazon.com: apigateway "Return binary media from a Lambda proxy integration".

    Of a REST API these are the media types that it names alone. A browser would be given base64 that claims to be gzip.
    """
    get = {"path": path, "httpMethod": "GET", "headers": {"accept-encoding": "gzip"}, "body": None}
    rest = {**REST_API, **get, "multiValueHeaders": {"accept-encoding": ["gzip"]}}
    events = (rest, {**rest, "version": "1.0"}, {**LOAD_BALANCER, **get})
    of_rest, of_http_api, of_balancer = map(function.invoke, events)
    assert (of_rest["isBase64Encoded"], "content-encoding" in of_rest["headers"]) == (False, False)
    for answer in (of_http_api, of_balancer):
        assert (answer["isBase64Encoded"], answer["headers"]["content-encoding"]) == (True, "gzip")
        assert gzip.decompress(base64.b64decode(answer["body"])).decode() == of_rest["body"]


def test_a_load_balancer_gets_its_status_description_and_multi_value_headers(function: FakeFunction) -> None:
    good = function.invoke(LOAD_BALANCER)
    bad = function.invoke({**MULTI_VALUE, "path": "/nowhere"})
    assert (good["statusDescription"], good["headers"]["content-type"]) == ("200 OK", "application/json")
    assert (bad["statusDescription"], bad["multiValueHeaders"]) == (
        "404 Not Found",
        {"content-type": ["application/json"], "x-request-id": ["unknown"]},
    )
    assert "headers" not in bad


def test_a_refused_method_names_the_methods_of_the_route(function: FakeFunction) -> None:
    answer = function.invoke({**REST_API, "httpMethod": "PUT"})
    assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize(
    ("raw_path", "stage", "path"),
    [
        ("/v1/models", "$default", "/v1/models"),
        ("/prod/v1/models", "prod", "/v1/models"),
        ("/production/x", "prod", "/production/x"),
        ("/prod", "prod", "/"),
        ("/v1%2Fmodels", "$default", "/v1/models"),
    ],
)
def test_the_stage_of_an_http_api_is_no_part_of_the_path(raw_path: str, stage: str, path: str) -> None:
    context = {**HTTP_API["requestContext"], "stage": stage}  # type: ignore[dict-item]
    assert parse({**HTTP_API, "rawPath": raw_path, "requestContext": context}, LIMIT).path == path
    of_format_1 = {**REST_API, "version": "1.0", "resource": "$default", "pathParameters": None, "path": raw_path}
    event = {**of_format_1, "requestContext": {**REST_API["requestContext"], "stage": stage}}  # type: ignore[dict-item]
    assert parse(event, LIMIT).path == path


def test_a_rest_api_s_path_is_without_its_stage_and_is_left_as_it_is() -> None:
    assert parse({**REST_API, "path": "/prod/v1/models"}, LIMIT).path == "/prod/v1/models"


@pytest.mark.parametrize(
    "event",
    [
        {**HTTP_API, "rawQueryString": "model=a%2Fb+c&deep=&model=d%2Fe+f"},
        {**REST_API, "queryStringParameters": {"model": "d/e f", "deep": ""}},
        {**LOAD_BALANCER, "queryStringParameters": {"model": "d%2Fe+f", "deep": ""}},
        {**MULTI_VALUE, "multiValueQueryStringParameters": {"model": ["a%2Fb+c", "d%2Fe+f"], "deep": [""]}},
    ],
)
def test_query_parameters_are_decoded_and_the_last_counts(event: dict[str, Any]) -> None:
    assert parse(event, LIMIT).query == {"model": "d/e f", "deep": ""}


@pytest.mark.parametrize("version", [{}, {"version": "1.0"}], ids=["REST API", "HTTP API, format 1.0"])
def test_what_a_gateway_has_decoded_is_not_decoded_again(version: dict[str, Any]) -> None:
    """A client sent model=a%252Fb%2Bc, which means `a%2Fb+c`."""
    event = {**REST_API, **version, "queryStringParameters": {"model": "a%2Fb+c"}}
    assert parse(event, LIMIT).query == {"model": "a%2Fb+c"}


def test_a_missing_body_is_an_empty_one() -> None:
    assert parse({**REST_API, "body": None}, LIMIT).body == b""


def test_a_body_that_is_not_the_base64_it_says_it_is_is_refused() -> None:
    with pytest.raises(ApiError, match="not") as caught:
        parse({**HTTP_API, "body": "?", "isBase64Encoded": True}, LIMIT).body  # noqa: B018
    assert caught.value.code == "invalid_base64"


@given(size=st.integers(0, 300), encoded=st.booleans())
def test_a_body_is_taken_up_to_the_limit_and_not_beyond(size: int, encoded: bool) -> None:
    body = base64.b64encode(b"x" * size).decode() if encoded else "x" * size
    event = {**HTTP_API, "body": body, "isBase64Encoded": encoded}
    if size <= 150:
        assert parse(event, 150).body == b"x" * size
    else:
        with pytest.raises(ApiError, match="150 bytes"):
            parse(event, 150).body  # noqa: B018


@pytest.mark.parametrize("event", [{"input": "a"}, {}, [], None, "text", {"requestContext": {"eventType": "MESSAGE"}}])
def test_what_has_no_http_envelope_is_a_direct_invoke(event: Any) -> None:
    assert not is_http(event)
