"""Without a key, a browser's pages of other sites neither read from the local server nor change anything on it."""

import http.client
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest

from devserver import command
from devserver.environment import Environment
from devserver.other_sites import OtherSites
from tests.unit.devserver.test_serve import ask, connect, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[http.client.HTTPConnection]:
    for process in serving(tmp_path_factory.mktemp("served")):
        yield connect(process)


@pytest.mark.parametrize("name", ["attacker.example", "127.0.0.1.attacker.example", "localhost.attacker.example", "["])
def test_a_name_that_was_made_to_lead_here_reads_nothing(server: http.client.HTTPConnection, name: str) -> None:
    status, told = ask(server, "GET", "/v1/models", host=f"{name}:{server.port}")
    assert status == 403
    assert "--api-key" in told["message"]


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "app.localhost",
        "[::1]",
        "192.168.1.7",
        "host.docker.internal",
    ],
)
def test_this_machine_and_addresses_are_served(server: http.client.HTTPConnection, name: str) -> None:
    assert ask(server, "GET", "/v1/models", host=f"{name}:{server.port}")[0] == 200


@pytest.mark.parametrize("origin", ["https://attacker.example", "null", "http://127.0.0.1.attacker.example"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_page_of_another_site_sends_nothing_that_changes(
    server: http.client.HTTPConnection, method: str, origin: str
) -> None:
    """A POST of a page is sent without asking first if its content type is one of a form (Fetch, "simple" requests)."""
    status, told = ask(server, method, "/v1/embeddings", b'{"input": "a"}', origin=origin)
    assert status == 403
    assert ("--api-key" if origin == "null" else "OPENCLIP_CORS_ORIGINS") in told["message"]


@pytest.mark.parametrize("origin", [None, "http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:3000"])
def test_programs_and_pages_of_this_machine_are_answered_by_the_function(
    server: http.client.HTTPConnection, origin: str | None
) -> None:
    status, told = ask(server, "POST", "/v1/embeddings", b"{", **({"origin": origin} if origin else {}))
    assert (status, told["error"]["code"]) == (400, "invalid_json")


def test_a_page_that_the_environment_names_may_change_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCLIP_CORS_ORIGINS", "https://app.example")
    for process in serving(tmp_path):
        connection = connect(process)
        statuses = [
            ask(connection, "POST", "/v1/embeddings", b"{", origin=f"https://{site}.example")[0]
            for site in ("app", "attacker")
        ]
        assert statuses == [400, 403]


def test_a_request_without_a_host_is_no_browsers_and_is_served() -> None:
    """HTTP/1.0 has none."""
    assert OtherSites("::1", ()).refusal("GET", Message()) is None


@pytest.mark.parametrize("allowed", ["https://app.example", "*"])
def test_a_page_that_the_settings_name_may_change_something(allowed: str) -> None:
    headers = Message()
    headers["host"], headers["origin"] = "localhost:8080", "https://app.example"
    assert OtherSites("127.0.0.1", ()).refusal("POST", headers)
    assert OtherSites("127.0.0.1", (allowed,)).refusal("POST", headers) is None


@pytest.mark.parametrize(
    ("arguments", "guarded"),
    [
        (["--host", "0.0.0.0"], False),
        (["--host", "localhost"], True),
        (["--host", "127.1"], True),
        (["--api-key", "k"], False),
        ([], True),
    ],
    ids=["every address", "localhost", "short address", "key", "default"],
)
def test_who_asks_for_a_key_or_serves_other_machines_takes_every_name(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], guarded: bool
) -> None:
    """Containers and other machines ask by names of their network, and a page does not have the key."""
    handler = SimpleNamespace(api_key="", other_sites=None, remote=None, environment=Environment())
    monkeypatch.setattr(command, "RequestHandler", handler)
    monkeypatch.setattr(command.Server, "serve_forever", lambda self, **_: None)
    monkeypatch.setattr("devserver.command.signal.signal", lambda *_: None)
    command.main(["--function", "http://localhost:1", "--port", "0", *arguments])
    assert (handler.other_sites is not None) == guarded
