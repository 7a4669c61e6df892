"""Every refused call, whatever the route and the reason: a code, one line in the log, and the metric Rejected."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from handler.errors import STATUS
from handler.http import dispatch, routes
from handler.service import Service
from handler.settings import Settings
from tests.unit.fake_bundle import FakeFunction

SECRET = "a caption that nobody else may read"
JSON = "application/json"
EVERY = [(path, method) for path, methods in routes.ROUTES.items() for method in methods]
POSTS = [path for path, method in EVERY if method == "POST"]
GETS = [path for path, method in EVERY if method == "GET"]


class Refused(NamedTuple):
    """What a refused call left: the response, and its line in the log."""

    status: int
    body: Any
    line: dict[str, Any]


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFunction:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip")
    return FakeFunction(tmp_path / "bundle", max_body_bytes=1_000)


def http(method: str, path: str, body: str = "", content_type: str = JSON, **more: Any) -> dict[str, Any]:
    context = {"http": {"method": method}, "stage": "$default"}
    return {"rawPath": path, "headers": {"content-type": content_type}, "requestContext": context, "body": body, **more}


def refused(service: Service, event: Any, capsys: pytest.CaptureFixture[str], code: str | None = None) -> Refused:
    """Call, and hold what every refusal has in common: `code` is the expected one, None for any of the table."""
    response = dispatch.handle(service, event, None)
    said = capsys.readouterr()
    [line] = [json.loads(one) for one in said.out.splitlines()]
    status = response.get("statusCode", line["status"])
    text = response.get("body", json.dumps(response))
    metrics = {
        metric["Name"]
        for directive in line["_aws"]["CloudWatchMetrics"]
        if directive["Dimensions"] == [["FunctionName", "Code"]]
        for metric in directive["Metrics"]
    }
    assert (line["status"], line["Code"], line["Rejected"], metrics) == (status, code or line["Code"], 1, {"Rejected"})
    assert STATUS[line["Code"]] == status
    assert line["level"] == ("ERROR" if status >= 500 else "INFO")
    assert SECRET not in said.out + said.err
    return Refused(status, json.loads(text) if text else None, line)


def code_of(path: str, body: Any) -> str | None:
    """Return the code that a body names, in OpenAI's shape or in Weaviate's; None in a vendor's who has none."""
    error = body.get("error") if isinstance(body, dict) else None
    if path == "/vectorize":
        return str(error).partition(":")[0]
    return error.get("code") if isinstance(error, dict) else None


@pytest.mark.parametrize("path", routes.ROUTES)
def test_a_method_that_a_route_does_not_take(
    function: FakeFunction, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    found = refused(function.service, http("DELETE", path), capsys, "method_not_allowed")
    assert found.line["route"] == path
    assert code_of(path, found.body) in ("method_not_allowed", None)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_a_path_that_is_no_route(function: FakeFunction, capsys: pytest.CaptureFixture[str], method: str) -> None:
    found = refused(function.service, http(method, f"/{SECRET}"), capsys, "not_found")
    assert (found.line["route"], code_of("", found.body)) == ("unknown", "not_found")


@pytest.mark.parametrize("path", routes.PAGES)
def test_a_page_that_is_turned_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip")
    refused(FakeFunction(tmp_path / "bundle", pages=False).service, http("GET", path), capsys, "not_found")


BODIES: dict[str, dict[str, Any]] = {
    "invalid_json": {"body": f'{{"input": "{SECRET}'},
    "invalid_type": {"body": "[]"},
    "unsupported_media_type": {"body": f"input={SECRET}", "content_type": "application/x-www-form-urlencoded"},
    "body_too_large": {"body": json.dumps({"input": SECRET * 100})},
    "invalid_base64": {"body": "{}", "isBase64Encoded": True},
}


@pytest.mark.parametrize("code", BODIES)
@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_not_what_a_route_reads(
    function: FakeFunction, capsys: pytest.CaptureFixture[str], path: str, code: str
) -> None:
    found = refused(function.service, http("POST", path, **BODIES[code]), capsys)
    assert 400 <= found.status < 500
    assert code_of(path, found.body) in (found.line["Code"], None)
    if path.startswith("/v1/e") or path == "/vectorize":
        assert found.line["Code"] == code


@pytest.mark.parametrize("path", [path for path in POSTS if path not in ("/vectorize", "/predict")])  # nothing, a form
def test_a_body_without_the_fields_that_a_route_needs(
    function: FakeFunction, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    found = refused(function.service, http("POST", path, "{}"), capsys)
    assert found.status in (400, 415)  # a route that reads a form refuses JSON altogether
    assert found.line["route"] == path


@pytest.mark.parametrize(
    ("path", "takes", "method"),
    [(path, takes, method) for path, takes in EVERY for method in ((takes, "HEAD") if takes == "GET" else (takes,))],
)
def test_a_fault_of_ours(
    function: FakeFunction,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    takes: str,
    method: str,
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError(SECRET)

    monkeypatch.setitem(routes.ROUTES, path, {takes: fail})

    found = refused(function.service, http(method, path, "{}"), capsys, "internal_error")

    assert (found.status, found.line["route"]) == (500, path)
    assert (found.body is None) == (method == "HEAD")


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/meta", "/.well-known/ready", "/.well-known/live", "/ping"])
def test_a_function_without_a_bundle_where_it_is_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip")
    found = refused(Service(Settings(), None, "no bundle"), http("GET", path), capsys, "not_ready")
    assert "no bundle" in json.dumps(found.body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/classify", {"input": "aGk=", "labels": ["a"]}),
        ("/v1/similarity", {"images": ["aGk="], "texts": ["a"]}),
        ("/vectorize", {"texts": ["a"]}),
    ],
)
def test_a_model_that_cannot_be_loaded(
    function: FakeFunction, capsys: pytest.CaptureFixture[str], path: str, body: Any
) -> None:
    function.loader.error = RuntimeError("no memory")
    found = refused(function.service, http("POST", path, json.dumps(body)), capsys, "not_ready")
    assert code_of(path, found.body) == "not_ready"


EVENTS: dict[str, Any] = {
    "invalid_event": {"requestContext": {"http": {"method": 7}}},
    "missing_input": {},
    "invalid_type": [],
    "unknown_field": {"input": "a", "inputs": SECRET},
    "model_not_found": {"input": "a", "model": "nobody/knows"},
}


@pytest.mark.parametrize("code", EVENTS)
def test_an_event_that_is_no_request_of_ours(
    function: FakeFunction, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    found = refused(function.service, EVENTS[code], capsys, code)
    assert code_of("", found.body) == code
