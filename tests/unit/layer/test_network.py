"""The environment by which the hub is reached: each variable that cannot be used is named, with how to set it."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from layer.cli.parser import main
from layer.errors import FetchError, UnreachableError
from layer.network import environment
from layer.sources import hub
from tests.hub.odd import about, forget


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("", "https://huggingface.co"),
        ("https://mirror.example/", "https://mirror.example"),
        ("http://mirror.example:8080/api/hf//", "http://mirror.example:8080/api/hf"),
        (" https://mirror.example\n", "https://mirror.example"),
    ],
)
def test_the_hubs_address_may_have_a_path_and_a_slash(monkeypatch: pytest.MonkeyPatch, given: str, meant: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", given)

    assert environment.endpoint() == meant


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("mirror.example/", "has no scheme: set HF_ENDPOINT=https://mirror.example"),
        ("ftp://mirror.example", "is not an address of a hub: set it as HF_ENDPOINT=https://"),
        ("https://", "is not an address"),
        ("https://[::1", "is not an address"),
        ("https://a:99999", "is not an address"),
        ("https://mirror.example?x=1", "is not an address"),
        ("https://mirror.exa mple", "is not an address"),
        ("https://user:secret@mirror.example#x", "is not an address"),
    ],
)
def test_an_address_that_is_none_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, given: str, says: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", given)

    with pytest.raises(FetchError, match=says) as caught:
        environment.endpoint()
    assert "HF_ENDPOINT = " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_resolver_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released, answered = threading.Event(), list[bool]()
    monkeypatch.setattr(environment, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: answered.append(released.wait(120)))

    with pytest.raises(FetchError, match=r"no answer within .*HTTPS_PROXY.*HF_ENDPOINT"):
        environment.check_name("https://hub.example")

    assert answered == []
    released.set()


@pytest.mark.parametrize("name", environment.OFFLINE)
def test_offline_variables_are_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")

    with pytest.raises(FetchError, match=f"{name}=1 is set, .*--from <directory>.* unset it where"):
        environment.client()


@pytest.mark.parametrize("value", ["hf_a b", "hf_é", '"hf_abc"', "'hf_abc'", "hf_a\tb"])
def test_a_token_that_is_none_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_TOKEN", value)

    with pytest.raises(FetchError, match="HF_TOKEN is not a token: it ") as caught:
        environment.token()
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", ["  hf_abc", "hf_abc\n", "hf_abc\r\n", "\thf_abc  "])
def test_blanks_around_a_token_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_TOKEN", value)

    assert environment.token() == "hf_abc"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A hub behind a certificate of a company's own, and the file with that certificate."""
    folder = tmp_path_factory.mktemp("ca")
    key, certificate = f"{folder}/key.pem", folder / "ca.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, check=True, capture_output=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(about().body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://localhost:{server.server_port}", certificate
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_companys_certificate_is_trusted_by_whatever_variable_names_it(
    monkeypatch: pytest.MonkeyPatch, company: tuple[str, Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", company[0])
    monkeypatch.setenv(name, str(company[1]))

    assert hub.repository("acme/tiny", None).license == "mit"
    assert ("since SSL_CERT_FILE is not set" in capsys.readouterr().err) == (name != "SSL_CERT_FILE")


def test_a_certificate_that_is_not_trusted_or_of_another_host_is_reported_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, company: tuple[str, Path]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", company[0])
    with pytest.raises(FetchError, match=r"is not trusted here.* SSL_CERT_FILE=/path/to/ca\.pem"):
        hub.repository("acme/tiny", None)

    monkeypatch.setattr(environment, "_client", None)
    monkeypatch.setenv("SSL_CERT_FILE", str(company[1]))
    monkeypatch.setenv("HF_ENDPOINT", company[0].replace("localhost", "127.0.0.1"))
    with pytest.raises(FetchError, match=r"is of another host\. Check HF_ENDPOINT"):
        hub.repository("acme/tiny", None)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", *environment.CA_FILES])
def test_a_file_of_certificates_that_holds_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for place in (tmp_path / "empty.pem", tmp_path / "nowhere.pem"):
        monkeypatch.setenv(name, str(place))
        with pytest.raises(FetchError, match=rf"{name} = .*{place.name}' holds no certificates that can be read"):
            environment.client()


@pytest.mark.parametrize("command", ["build", "fetch", "inspect", "models"])
def test_an_address_that_kills_the_hubs_library_at_its_import_is_named_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    """huggingface_hub takes HF_ENDPOINT apart while it is imported: ValueError, Invalid IPv6 URL."""
    monkeypatch.setenv("HF_ENDPOINT", "http://[::1")
    (tmp_path / "models.toml").write_text('[[model]]\nname = "hf-hub:acme/tiny"\n')
    output = ["--output", str(tmp_path / "output")] if command in ("build", "fetch") else []
    cache = [] if command == "models" else ["--cache", str(tmp_path / "c")]

    assert main([command, "--models", str(tmp_path / "models.toml"), *output, *cache]) == 1
    assert capsys.readouterr().err.startswith("error: HF_ENDPOINT = 'http://[::1' is not an address of a hub")


@pytest.mark.parametrize("command", [["verify"], ["package"]])
def test_so_it_is_by_commands_that_read_a_cache_with_the_hubs_library(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://[::1")

    assert main(command) == 1
    assert capsys.readouterr().err.startswith("error: HF_ENDPOINT = 'http://[::1' is not an address of a hub")


def test_a_module_that_imports_open_clip_says_so_instead_of_a_traceback() -> None:
    command = [sys.executable, "-m", "layer.registry.parameter_count", "--help"]
    environ = {**os.environ, "HF_ENDPOINT": "http://[::1"}

    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert run.stderr.startswith("error: HF_ENDPOINT = 'http://[::1' is not an address of a hub")


def test_offline_no_name_is_resolved_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a resolver was asked"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(UnreachableError, match="HF_HUB_OFFLINE=1 is set, so the hub is not asked"):
        hub.repository("acme/tiny", None)
