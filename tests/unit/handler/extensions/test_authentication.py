"""Authentication of a user's own: nothing but a name lets a request pass."""

import json
from pathlib import Path

import pytest

from handler.http import dispatch
from infra.functions.rollout.index import HEALTH
from tests.unit.handler.extensions.own_code import Extended

HELLO = """
def hello(request, service):
    return {"by": request.principal}

routes = {("GET", "/ext/hello"): hello}
"""
AUTHENTICATE = """
from handler.extensions import ApiError

def authenticate(request):
    token = request.headers.get("x-token")
    if token is None:
        raise ApiError("not_authenticated", "send your token as x-token")
    if token == "crash":
        raise KeyError("sk-secret")
    if token in ("None", "True", "3", "''"):
        return eval(token)
    if token != "good":
        raise ApiError("not_permitted", "this token may not call")
    return request.authorizer.get("jwt", {}).get("claims", {}).get("sub", "alice")
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Extended:
    return Extended(tmp_path, HELLO + AUTHENTICATE)


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (None, 401, "not_authenticated"),
        ("bad", 403, "not_permitted"),
        ("crash", 500, "extension_failed"),
        ("None", 500, "extension_failed"),
        ("True", 500, "extension_failed"),
        ("3", 500, "extension_failed"),
        ("''", 500, "extension_failed"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/models", "/health", "/ext/hello", "/nothing", "/v2/embed"])
def test_nothing_but_a_name_lets_a_request_pass(
    guarded: Extended, path: str, token: str | None, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"x-token": token} if token else {}
    found, body = guarded.ask("POST", path, {"input": "a"}, headers=headers)
    assert found == status
    assert code in json.dumps(body)
    assert guarded.loader.loads == []
    assert "sk-secret" not in caplog.text + json.dumps(body)


def test_who_is_let_in_has_a_name_that_routes_see_and_no_log_holds(
    guarded: Extended, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip")
    good = {"x-token": "good"}
    assert guarded.ask("GET", "/ext/hello", headers=good)[1]["by"] == "alice"
    assert guarded.ask("POST", "/v1/embeddings", {"input": "a"}, headers=good)[0] == 200
    event = guarded.event("GET", "/ext/hello", headers=good)
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": "bob"}, "scopes": None}}
    assert json.loads(dispatch.handle(guarded.service, event, None)["body"])["by"] == "bob"
    assert not {"alice", "bob", "good"} & set(capsys.readouterr().out.replace('"', " ").split())


def test_pages_preflights_direct_invokes_and_the_health_gate_are_not_asked(guarded: Extended) -> None:
    for method, path in (("GET", "/"), ("HEAD", "/docs"), ("GET", "/openapi.json"), ("OPTIONS", "/v1/embeddings")):
        answer = dispatch.handle(guarded.service, guarded.event(method, path), None)
        assert answer["statusCode"] in (200, 204), path
    assert "data" in dispatch.handle(guarded.service, {"input": "a"}, None)
    gate = dispatch.handle(guarded.service, HEALTH, None)
    assert (gate["statusCode"], json.loads(gate["body"])["ok"]) == (200, True)
    forged = guarded.event("GET", "/health", headers={"openclip": "gate"}, query="openclip=gate")
    assert dispatch.handle(guarded.service, forged, None)["statusCode"] == 401
