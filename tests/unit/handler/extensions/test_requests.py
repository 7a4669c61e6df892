"""Routes of a user's own: with our errors, limits, telemetry and CORS."""

import json
import logging
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote

import pytest

from handler.http import dispatch, extended
from handler.http.extended import with_routes
from handler.http.routes import API
from tests.unit.fake_bundle import image_bytes
from tests.unit.handler.extensions.own_code import Extended, loaded

ROUTES = """
from handler.extensions import ApiError, Response

def hello(request, service):
    return {"hello": request.query.get("name", "you"), "by": request.principal}

def nearest(request, service):
    body = service.read_json(request)
    words, image = body["words"], bytes.fromhex(body["image"])
    scores = service.embed(words) @ service.embed([image], service.models[0].id)[0]
    return Response(201, {"word": words[int(scores.argmax())]}, {"cache-control": "no-store"})

def refuse(request, service):
    raise ApiError("object_not_found", "no such shoe")

def broken(request, service):
    password = "hunter2"
    return {}[password]

def odd(request, service):
    return eval(request.query["what"])

routes = {
    ("GET", "/ext/hello"): hello, ("POST", "/ext/nearest"): nearest, ("GET", "/ext/refuse"): refuse,
    ("GET", "/ext/broken"): broken, ("GET", "/ext/odd"): odd,
}
"""

THROW = "(_ for _ in ()).throw"


@pytest.fixture
def routes(tmp_path: Path) -> Extended:
    return Extended(tmp_path, ROUTES, cors_origins=("https://app.example",), max_items=3, max_body_bytes=2000)


def test_a_route_is_answered_and_has_the_methods_headers_and_cors_of_ours(routes: Extended) -> None:
    assert routes.ask("GET", "/ext/hello", query="name=Ada") == (200, {"hello": "Ada", "by": ""})
    head = dispatch.handle(routes.service, routes.event("HEAD", "/ext/hello"), None)
    assert (head["statusCode"], head["body"]) == (200, "")
    origin = {"origin": "https://app.example"}
    answer = dispatch.handle(routes.service, routes.event("GET", "/ext/hello", headers=origin), None)
    assert answer["headers"]["access-control-allow-origin"] == "https://app.example"
    what = "what=" + quote("Response(200, {}, {'vary': 'accept-language'})")
    answer = dispatch.handle(routes.service, routes.event("GET", "/ext/odd", query=what), None)
    assert answer["headers"]["vary"] == "accept-language, origin"  # a cache has to know of both
    asked = {**origin, "access-control-request-method": "POST"}
    preflight = dispatch.handle(routes.service, routes.event("OPTIONS", "/ext/nearest", headers=asked), None)
    assert (preflight["statusCode"], preflight["headers"]["access-control-allow-methods"]) == (204, "POST, OPTIONS")
    status, body = routes.ask("POST", "/ext/hello")
    assert (status, body["error"]["code"]) == (405, "method_not_allowed")
    assert "/ext/hello" in routes.ask("GET", "/ext/nothing")[1]["error"]["message"]


def test_a_route_embeds_with_the_function_s_own_model(routes: Extended) -> None:
    body = {"words": ["aaa", "c"], "image": image_bytes((255, 0, 0)).hex()}
    event = routes.event("POST", "/ext/nearest", body)
    answer = dispatch.handle(routes.service, event, None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (201, {"word": "aaa"})
    assert answer["headers"]["cache-control"] == "no-store"
    assert "inference;dur=" in answer["headers"]["server-timing"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b" " * 3000, "body_too_large"),
        ({"words": ["a"] * 4, "image": ""}, "too_many_items"),
        ({"words": ["a", ""], "image": ""}, "empty_input"),
        ({"words": ["a", "\ud800"], "image": ""}, "invalid_value"),
        ({"words": ["a"], "image": "00"}, "not_an_image"),
        ({"words": "a", "image": "00"}, "extension_failed"),
        ([], "extension_failed"),
    ],
)
def test_the_limits_and_codes_of_ours_hold_on_a_route(routes: Extended, body: Any, code: str) -> None:
    assert routes.ask("POST", "/ext/nearest", body)[1]["error"]["code"] == code


def test_a_code_of_ours_passes_and_anything_else_is_extension_failed_without_a_secret(
    routes: Extended, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = routes.ask("GET", "/ext/refuse")
    assert (status, body["error"]["message"]) == (404, "no such shoe")
    status, body = routes.ask("GET", "/ext/broken", query="name=private")
    assert (status, body["error"]["code"], body["error"]["type"]) == (500, "extension_failed", "server_error")
    assert "GET /ext/broken of handler_ext/__init__.py failed with KeyError" in caplog.text
    assert "handler_ext/__init__.py:18 in broken" in caplog.text
    assert not [
        word for word in ("hunter2", "password", "private", "Traceback") if word in caplog.text + json.dumps(body)
    ]


@pytest.mark.parametrize(
    "what",
    [
        "None",
        "'text'",
        "[1]",
        "Response('200', {})",
        "Response(99, {})",
        "Response(200, b'bytes')",
        "Response(200, {'a': float('nan')})",
        "Response(200, {'a': object()})",
        "Response(200, {}, {'X_Upper': 'a'})",
        "Response(200, {}, {'x-a': 'a', 'X-A': 'b'})",
        "Response(200, {}, {'x-a': 1.5})",
        "Response(200, {}, {'x-a': 'b\\r\\nset-cookie: c'})",
        "Response(200, {}, None)",
        "Response(200, 'text', {}, 'text/plain\\n')",
        "Response(200, 'text', {}, 5)",
        "Response(200, '\\ud800' * 1000, {}, 'text/plain')",
        "__import__('sys').exit(0)",
        "(_ for _ in ()).throw(ApiError('my_code', 'x'))",
        "(_ for _ in ()).throw(ApiError('invalid_value', 3))",
        "(_ for _ in ()).throw(GeneratorExit())",
        "(_ for _ in ()).throw(ApiError(['not_permitted'], 'x'))",
        "(_ for _ in ()).throw(ApiError('not_permitted', 'x', param=b'x'))",
        "(_ for _ in ()).throw(ApiError('not_permitted', 'x', headers=['x-a']))",
        "(_ for _ in ()).throw(ApiError('not_permitted', 'x', headers={'x-a': True}))",
        "(_ for _ in ()).throw(ApiError('not_permitted', 'x', headers={'X-\\u00dcpper': 'a'}))",
        "(_ for _ in ()).throw(ApiError('not_permitted', 'x', headers={'x-a': 'b\\r\\nset-cookie: c'}))",
        "type('Broken', (dict,), {'items': lambda self: 1 / 0})(a=1)",
        "Response(200, {}, type('Broken', (dict,), {'items': lambda self: 1 / 0})(a=1))",
        "Response(type('Broken', (), {'__repr__': lambda self: 1 / 0})(), {})",
    ],
)
def test_what_no_gateway_could_send_is_extension_failed(routes: Extended, what: str) -> None:
    from urllib.parse import quote

    zipped = {"accept-encoding": "gzip"}
    status, body = routes.ask("GET", "/ext/odd", query=f"what={quote(what)}", headers=zipped)
    assert (status, body["error"]["code"]) == (500, "extension_failed")


@pytest.mark.parametrize(
    "error",
    [
        "ApiError('not_permitted', 'x', headers=type('Broken', (dict,), {'items': lambda self: _secret()})(a=1))",
        "ApiError('not_permitted', 'x', headers={type('Broken', (), {'__repr__': lambda self: _secret()})(): 'a'})",
        "ApiError(type('Broken', (), {'__repr__': lambda self: _secret()})(), 'x')",
        "ApiError(type('Broken', (str,), {'__hash__': lambda self: _secret()})('not_permitted'), 'x')",
    ],
)
def test_an_error_that_fails_where_it_is_read_is_extension_failed_without_a_source_line(
    tmp_path: Path, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    init = f"""
from handler.extensions import ApiError
def _secret():
    return {{}}["hunter2"]
def refuse(request, service):
    raise {error}
routes = {{("GET", "/ext/refuse"): refuse}}
"""
    status, body = Extended(tmp_path, init).ask("GET", "/ext/refuse")
    assert (status, body["error"]["code"]) == (500, "extension_failed")
    assert (
        "GET /ext/refuse of handler_ext/__init__.py failed with an ApiError that cannot be read (KeyError)"
        in caplog.text
    )
    assert "handler_ext/__init__.py:4 in _secret" in caplog.text
    assert "hunter2" not in caplog.text + json.dumps(body)


@pytest.mark.parametrize(
    "made", ["Response(403, {}, HEADERS)", f"{THROW}(ApiError('not_permitted', 'x', headers=HEADERS))"]
)
def test_a_header_is_sent_whatever_the_case_of_its_name_and_a_number_as_text(routes: Extended, made: str) -> None:
    what = made.replace("HEADERS", "{'WWW-Authenticate': 'Bearer', 'retry-after': 5}")
    answer = dispatch.handle(routes.service, routes.event("GET", "/ext/odd", query="what=" + quote(what)), None)
    assert answer["statusCode"] == 403
    assert (answer["headers"]["www-authenticate"], answer["headers"]["retry-after"]) == ("Bearer", "5")


def test_a_text_has_the_limit_of_ours_where_code_of_your_own_embeds_it(tmp_path: Path) -> None:
    """docs/extending.md's own example hands on what a caller sent."""
    init = "def long(request, service):\n    return {'of': len(service.embed(['a' * int(request.query['n'])]))}\n"
    extended = Extended(tmp_path, init + "routes = {('GET', '/ext/long'): long}\n")
    assert extended.ask("GET", "/ext/long", query="n=10000") == (200, {"of": 1})
    status, body = extended.ask("GET", "/ext/long", query="n=10001")
    assert (status, body["error"]["code"], body["error"]["param"]) == (400, "text_too_long", "input[0]")


@pytest.mark.parametrize("status", [299, 520, 599])
def test_a_status_without_a_name_passes_a_load_balancer(routes: Extended, status: int) -> None:
    """Elastic Load Balancing, "Lambda functions as targets": the code and its phrase."""
    request = {"httpMethod": "GET", "path": "/ext/odd", "headers": {}, "body": "", "isBase64Encoded": False}
    query = {"queryStringParameters": {"what": f"Response({status},{{}})"}}
    answer = dispatch.handle(routes.service, {**request, **query, "requestContext": {"elb": {}}}, None)
    assert (answer["statusCode"], answer["statusDescription"]) == (status, f"{status} Unnamed")


def test_a_response_over_lambda_s_limit_is_refused(routes: Extended) -> None:
    status, body = routes.ask("GET", "/ext/odd", query="what=Response(200,'x'*6300000)")
    assert (status, body["error"]["code"]) == (413, "answer_too_large")


def test_a_whole_request_is_as_ours_where_there_is_no_such_code(
    routes: Extended, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert routes.ask("POST", "/v1/embeddings", {"input": "ab"})[0] == 200
    assert caplog.text == ""


def test_the_routes_are_joined_once_and_again_for_another_extension_or_table(tmp_path: Path) -> None:
    one, other = loaded(tmp_path / "one", ROUTES), loaded(tmp_path / "other", ROUTES)
    first = with_routes(API, one)

    assert with_routes(API, one) is first
    assert first.routes.keys() == API.routes.keys() | one.routes.keys()
    own = with_routes(API, other)
    assert own.routes["/ext/hello"]["GET"] is not first.routes["/ext/hello"]["GET"]
    table = API._replace(routes={"/health": API.routes["/health"]})
    assert with_routes(table, other).routes.keys() == {"/health"} | other.routes.keys()
    assert "/ext/hello" not in API.routes


def test_a_container_joins_its_routes_once_for_all_requests(routes: Extended, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Mock(side_effect=extended._join)
    monkeypatch.setattr(extended, "_join", joined)
    for _ in range(3):
        assert routes.ask("GET", "/ext/hello")[0] == 200
        assert routes.ask("GET", "/v1/models")[0] == 200
    joined.assert_called_once()
