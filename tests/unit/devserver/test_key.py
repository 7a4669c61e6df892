"""The local server's key: asked for as the gateway of a deployment asks for it."""

from email.message import Message

import pytest

from devserver import command
from devserver.server import RequestHandler
from handler.http.routes import PAGES


def request(method: str, path: str, **headers: str) -> RequestHandler:
    asked = RequestHandler.__new__(RequestHandler)
    asked.api_key, asked.command, asked.path, asked.headers = "key", method, path, Message()
    for name, value in headers.items():
        asked.headers[name.replace("_", "-")] = value
    return asked


@pytest.mark.parametrize("path", [*PAGES, *(f"{path}?from=mail" for path in PAGES)])
def test_pages_ask_for_no_key_and_all_else_does(path: str) -> None:
    assert request("GET", path)._refusal() is None
    assert request("GET", f"/v1/models?{path}")._refusal() == (401, "Unauthorized")
    assert request("GET", "/v1/models", authorization="Bearer other")._refusal() == (403, "Forbidden")
    assert request("GET", "/v1/models", authorization="Bearer key")._refusal() is None


def test_a_preflight_has_no_key_and_is_answered() -> None:
    """Fetch: a "CORS-preflight request" is sent without credentials."""
    headers = {"origin": "https://app.example", "access_control_request_method": "POST"}
    assert request("OPTIONS", "/v1/embeddings", **headers)._refusal() is None
    assert request("OPTIONS", "/v1/embeddings")._refusal() == (401, "Unauthorized")
    assert request("POST", "/v1/embeddings", **headers)._refusal() == (401, "Unauthorized")


@pytest.mark.parametrize("key", ["", "ключ", " a key", "key\r"])
def test_a_key_that_no_client_can_send_is_refused_and_not_repeated(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--api-key", key])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "leave --api-key out to ask for none" in told
    assert not key or key not in told.partition("error:")[2]
