"""The local server: started as a person starts it, asked over HTTP, stopped by a signal."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.serve import Context
from tests.unit.fake_bundle import picture, write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server on a bundle that lists models but has no engine's weights: all but embedding works."""
    environ = {
        **os.environ,
        "OPENCLIP_BUNDLE_DIR": str(write(tmp_path / "bundle")),
        "OPENCLIP_CACHE_DIR": str(tmp_path / "cache"),
        "OPENCLIP_MAX_BODY_BYTES": "100000",
    }
    command = [sys.executable, "-m", "handler.serve", "--port", "0"]
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
    return http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)


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


def test_a_picture_reaches_the_function_byte_for_byte(server: subprocess.Popen[str]) -> None:
    connection = connect(server)
    query = "/v1/embeddings?model=nobody%2Fknows"
    assert ask(connection, "POST", query, picture(), **{"content-type": "image/png"})[0] == 404
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


def test_a_body_of_unknown_length_is_refused(server: subprocess.Popen[str]) -> None:
    connection = connect(server)
    assert ask(connection, "POST", "/v1/embeddings", iter([b"{}"]))[0] == 411


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(server: subprocess.Popen[str], number: signal.Signals) -> None:
    connection = connect(server)
    assert ask(connection, "GET", "/v1/models")[0] == 200
    server.send_signal(number)
    assert server.wait(10) == 0


def test_the_context_counts_down_and_names_each_request() -> None:
    first, second = Context(), Context()
    assert first.aws_request_id != second.aws_request_id
    before = first.get_remaining_time_in_millis()
    time.sleep(0.01)
    assert 29_000 < first.get_remaining_time_in_millis() < before <= 30_000
