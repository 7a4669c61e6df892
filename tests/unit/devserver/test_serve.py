"""The local server: started as a person starts it, asked over HTTP, stopped by a signal."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devserver.server import Context, RequestHandler
from tests.unit.fake_bundle import image_bytes, write

ROOT = Path(__file__).parents[3]
SECONDS = 60  # for one answer, on a machine that has other work, too


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server of the test's own."""
    yield from serving(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[http.client.HTTPConnection]:
    """The address of a server for tests that leave it as it is."""
    for process in serving(tmp_path_factory.mktemp("shared")):
        yield connect(process)


def serving(tmp_path: Path, module: str = "devserver", host: str = "127.0.0.1") -> Iterator[subprocess.Popen[str]]:
    """Serve a bundle that lists models but has no engine's weights: all but embedding works."""
    environ = {
        **os.environ,
        "OPENCLIP_BUNDLE_DIR": str(write(tmp_path / "bundle")),
        "OPENCLIP_CACHE_DIR": str(tmp_path / "cache"),
        "OPENCLIP_MAX_BODY_BYTES": "100000",
    }
    command = [sys.executable, "-m", module, "--port", "0", "--host", host]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def connect(server: subprocess.Popen[str]) -> http.client.HTTPConnection:
    assert server.stdout
    line = server.stdout.readline()
    found = re.fullmatch(r"serving on http://127\.0\.0\.1:(\d+)\n", line)
    assert found, line
    return http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=SECONDS)


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> Any:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(content) if content else None


def test_one_connection_serves_good_and_bad_requests(server: subprocess.Popen[str]) -> None:
    connection = connect(server)
    json_type = {"content-type": "application/json"}

    status, models = ask(connection, "GET", "/v1/models")
    assert (status, len(models["data"])) == (200, 2)
    for body in (b"{", b'"\xff"', "ä".encode()):
        assert ask(connection, "POST", "/v1/embeddings", body, **json_type)[1]["error"]["code"] == "invalid_json"
    assert ask(connection, "POST", "/v1/embeddings", b'{"input": ""}', **json_type)[0] == 400
    assert ask(connection, "GET", "/nowhere?a=b")[0] == 404
    assert ask(connection, "HEAD", "/v1/models") == (200, None)
    assert (
        ask(connection, "POST", "/v1/embeddings", b"x" * 100_001, **json_type)[1]["error"]["code"] == "body_too_large"
    )


def test_an_image_reaches_the_function_byte_for_byte(server: subprocess.Popen[str]) -> None:
    connection = connect(server)
    query = "/v1/embeddings?model=nobody%2Fknows"
    assert ask(connection, "POST", query, image_bytes(), **{"content-type": "image/png"})[0] == 404
    assert ask(connection, "POST", query, b"", **{"content-type": "image/png"})[1]["error"]["code"] == "empty_input"


@pytest.mark.parametrize("size", [6 * 1024 * 1024, 10 * 1024 * 1024 + 1])
def test_what_lambda_or_its_gateway_would_refuse_never_reaches_the_function(
    server: subprocess.Popen[str], size: int
) -> None:
    connection = connect(server)
    connection.putrequest("POST", "/v1/embeddings")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(size))
    connection.endheaders()
    if size <= 10 * 1024 * 1024:
        connection.send(b"x" * size)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (413, {"message": "Request Entity Too Large"})


def test_a_body_in_chunks_is_what_it_is_in_one_piece(server: subprocess.Popen[str]) -> None:
    connection = connect(server)
    json_type = {"content-type": "application/json"}
    for body in (b'{"input": ""}', b"{"):
        whole = ask(connection, "POST", "/v1/embeddings", body, **json_type)
        assert ask(connection, "POST", "/v1/embeddings", iter([body[:1], body[1:]]), **json_type) == whole
    big = iter([b"x" * 60_000] * 2)
    assert ask(connection, "POST", "/v1/embeddings", big, **json_type)[1]["error"]["code"] == "body_too_large"


HEAD = "POST /v1/embeddings HTTP/1.1\r\nhost: a\r\n"


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ("transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
        ("transfer-encoding: gzip, chunked\r\n\r\n", 501),
        ("transfer-encoding: chunked\r\n\r\n-1\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\nx\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\n1\r\n{}}\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\n" + "1" * 300 + "\r\n", 400),
        ("transfer-encoding: chunked\r\n\r\nffffffff\r\n", 413),
        ("transfer-encoding: chunked\r\n\r\n0\r\n" + "a: b\r\n" * 40 + "\r\n", 400),
        ("content-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        ("content-length: -1\r\n\r\n", 400),
        ("content-length: 1e3\r\n\r\n", 400),
        ("content-length: 99999999999999999999999999\r\n\r\n", 413),
    ],
)
def test_a_body_that_cannot_be_told_from_what_follows_ends_the_connection(
    shared: http.client.HTTPConnection, rest: str, status: int
) -> None:
    with socket.create_connection((shared.host, shared.port), SECONDS) as raw:
        raw.sendall((HEAD + rest).encode())
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1") == 1


def test_half_a_body_never_reaches_the_function(shared: http.client.HTTPConnection) -> None:
    with socket.create_connection((shared.host, shared.port), SECONDS) as raw:
        raw.sendall((HEAD + 'content-type: application/json\r\ncontent-length: 99\r\n\r\n{"input": ""}').encode())
        raw.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"empty_input" not in answer


@pytest.mark.parametrize("gone", [BrokenPipeError, ConnectionResetError, ConnectionAbortedError])
def test_a_client_that_is_gone_ends_its_connection_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, gone: type[Exception]
) -> None:
    asked = RequestHandler.__new__(RequestHandler)
    monkeypatch.setattr("http.server.BaseHTTPRequestHandler.handle_one_request", lambda _: (_ for _ in ()).throw(gone))
    asked.handle_one_request()
    assert asked.close_connection is True


def started(*arguments: str, module: str = "devserver", **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )


def test_without_a_bundle_nothing_is_served(tmp_path: Path) -> None:
    missing = started("--port", "0", OPENCLIP_BUNDLE_DIR=str(tmp_path), OPENCLIP_CACHE_DIR=str(tmp_path / "cache"))
    wrong = started("--port", "0", OPENCLIP_BUNDLE_DIR=str(tmp_path), OPENCLIP_MAX_ITEMS="many")

    assert (missing.returncode, missing.stdout) == (wrong.returncode, wrong.stdout) == (1, "")
    assert "python -m layer build" in missing.stderr
    assert "OPENCLIP_BUNDLE_DIR" in missing.stderr
    assert "OPENCLIP_MAX_ITEMS is 'many'" in wrong.stderr
    assert "Traceback" not in missing.stderr + wrong.stderr


def test_a_port_in_use_is_reported_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = started("--port", str(taken.getsockname()[1]), OPENCLIP_BUNDLE_DIR=str(write(tmp_path / "bundle")))
    assert (run.returncode, run.stdout) == (1, "")
    [line] = run.stderr.splitlines()
    assert "--port" in line


def said(run: subprocess.CompletedProcess[str]) -> list[str]:
    return f"{run.stdout}{run.stderr}".replace("handler.serve", "devserver").split()  # wrapped where the name ends


def test_its_older_name_starts_the_same_command(tmp_path: Path) -> None:
    for arguments in (["--help"], ["--port", "70000"]):
        new, old = started(*arguments), started(*arguments, module="handler.serve")
        assert old.returncode == new.returncode == (0 if arguments == ["--help"] else 2)
        assert said(old) == said(new)
    for process in serving(tmp_path, "handler.serve"):
        assert ask(connect(process), "GET", "/v1/models")[0] == 200


def test_all_of_many_connections_at_once_are_answered(server: subprocess.Popen[str]) -> None:
    port = connect(server).port
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS) for _ in range(100)]
    server.send_signal(signal.SIGSTOP)  # none is accepted before the last has come
    try:
        for client in clients:
            client.request("GET", "/v1/models")
    finally:
        server.send_signal(signal.SIGCONT)
    assert [client.getresponse().status for client in clients] == [200] * len(clients)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(server: subprocess.Popen[str], number: signal.Signals) -> None:
    connection = connect(server)
    assert ask(connection, "GET", "/v1/models")[0] == 200
    server.send_signal(number)
    assert server.wait(SECONDS) == 0


def test_the_context_counts_down_and_names_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr("devserver.server.time", SimpleNamespace(monotonic=lambda: now[0]))
    first, second = Context(), Context()
    assert first.aws_request_id != second.aws_request_id
    left = []
    for now[0] in (1_000.0, 1_000.25, 1_029.0, 1_031.0):
        left.append(first.get_remaining_time_in_millis())
    assert left == [30_000, 29_750, 1_000, 0]
