"""Responses that are none of the API's, or not whole: told with the fix, and no row is made of them."""

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openclip_lambda import transport
from openclip_lambda.api import Api
from openclip_lambda.cli import main as cli
from openclip_lambda.errors import ResponseError

from tests.unit.client.conftest import Scripted, result, texts

PORTAL = b"<html><title>Welcome to the airport</title><form>Sign in</form></html>"


def ask(url: str) -> Any:
    return Api(url).post("/v1/embeddings", {"input": ["a"]})


@pytest.mark.parametrize(
    ("status", "body", "headers", "says"),
    [
        (200, PORTAL, {"content_type": "text/html"}, r"what is not JSON \(text/html: .*airport.*wants a sign-in first"),
        (200, b"", {}, r"what is not JSON \(no content\)"),
        (200, b'{"data": [', {}, "what is not JSON"),
        (200, b"[" * 100_000, {}, "what is not JSON"),
        (200, b"\xff\xfe", {}, "what is not JSON"),
        (204, b"", {}, "answered 204: no content"),
        (202, b"later", {}, "answered 202: .*later"),
        (404, b'{"message": "Not Found"}', {}, "answered 404: Not Found: is that the stack's output Url"),
        (401, b'{"message": "Unauthorized"}', {}, "answered 401: Unauthorized: give --api-key or --sigv4"),
        (400, b'{"error": "a text"}', {}, "answered 400: "),
        (400, b'{"error": {"message": 5}}', {}, "answered 400: "),
        (400, b'{"error": {"message": "x", "param": 5, "code": []}}', {}, "answered 400: x"),
        (400, b"[]", {}, r"answered 400: .*\[\]"),
        (511, PORTAL, {"content_type": "text/html"}, "answered 511: text/html"),
        (200, b"{}", {"content_encoding": "br"}, "content encoding is 'br'"),
        (200, b"{}", {"content_encoding": "gzip"}, "does not answer: Error -3"),
        (200, gzip.compress(b"{}", mtime=0)[:-9], {"content_encoding": "gzip"}, "compressed body ends early"),
        (200, b"{}", {"content_length": "100"}, "its response ends early"),
    ],
)
def test_a_response_that_is_none_is_reported_with_the_fix(
    scripted: Scripted, status: int, body: bytes, headers: dict[str, str], says: str
) -> None:
    scripted.always(status, body, connection="close", **headers)
    with pytest.raises(ResponseError, match=says):
        ask(scripted.url)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_compressed_response_is_read(scripted: Scripted, pack: Any) -> None:
    scripted.always(200, pack(b'{"a": 1}'), content_encoding="gzip")
    assert ask(scripted.url) == {"a": 1}


def test_a_response_without_an_end_is_bounded(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 1_000_000)
    scripted.always(200, b"[" + b" " * 2_000_000)
    with pytest.raises(ResponseError, match="more than 1,000,000 bytes"):
        ask(scripted.url)
    scripted.always(200, gzip.compress(bytes(2_000_000)), content_encoding="gzip")
    with pytest.raises(ResponseError, match="ends early, or is too large"):
        ask(scripted.url)


@pytest.fixture
def raw() -> Iterator[Any]:
    """A socket server that sends the given parts, with a pause after each, whatever is asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    parts: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                try:
                    for part in parts:
                        connection.sendall(part)
                        if done.wait(0.05):
                            return
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):  # closing on what is unread would be a reset
                        pass
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", parts
    done.set()
    listener.close()


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([], "Server disconnected without sending a response"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "Server disconnected without sending a response"),
        ([b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000 + b"\r\n"], "Receive buffer too long"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"zz\r\n"], "illegal chunk header"),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"5\r\n{}"], "ends early"),
        ([b"HTTP/1.1 200 OK\r\n\r\n", *[b" "] * 200], "still sending after 0.3 s"),
    ],
)
def test_what_is_no_http_or_never_ends_is_reported(
    raw: Any, monkeypatch: pytest.MonkeyPatch, parts: list[bytes], says: str
) -> None:
    url, sent = raw
    sent[:] = parts
    if "still sending" in says:  # elsewhere a machine with other work may take as long
        monkeypatch.setattr(transport, "MAX_SECONDS", 0.3)
    with pytest.raises(ResponseError, match=f"does not answer: .*{says}"):
        ask(url)


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ResponseError, match=r"no response within 0\.2 s"),
    ):
        ask(f"http://127.0.0.1:{listener.getsockname()[1]}")


ITEM = {"index": 0, "embedding": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("response", "says"),
    [
        ({}, "without a list `data`"),
        ([], "without a list `data`"),
        ({"data": "x"}, "without a list `data`"),
        ({"data": [1, 2]}, "without a list `data`"),
        ({"data": []}, "0 results to 2 items"),
        ({"data": [ITEM]}, "1 result to 2 items"),
        ({"data": [ITEM] * 3}, "3 results to 2 items"),
        ({"data": [ITEM, ITEM]}, "which item each belongs to"),
        ({"data": [ITEM, {**ITEM, "index": "1"}]}, "which item each belongs to"),
        ({"data": [ITEM, {"index": 1}]}, "no list of numbers"),
        ({"data": [ITEM, {"index": 1, "embedding": "AAAA"}]}, "no list of numbers"),
        ({"data": [ITEM, {"index": 1, "embedding": []}]}, "no list of numbers"),
        ({"data": [ITEM, {"index": 1, "embedding": [None, 1]}]}, "no list of numbers"),
        ({"data": [ITEM, {"index": 1, "embedding": [True, 1]}]}, "no list of numbers"),
        ({"data": [ITEM, {"index": 1, "embedding": [1]}]}, "1 dimension, before it was 2"),
    ],
)
def test_results_that_do_not_fit_the_items_make_no_row(
    scripted: Scripted, tmp_path: Path, capsys: pytest.CaptureFixture[str], response: Any, says: str
) -> None:
    scripted.always(200, json.dumps(response).encode())
    assert cli.main(["embed", *texts(2), "--url", scripted.url, "--output", str(tmp_path / "out.npy")]) == 1
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_results_in_another_order_are_put_into_that_of_the_items(
    scripted: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]
    scripted.always(200, json.dumps({"data": items}).encode())
    assert cli.main(["embed", *texts(2), "--url", scripted.url]) == 0
    assert [json.loads(line)["embedding"] for line in capsys.readouterr().out.splitlines()] == [[0.0], [1.0]]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1e39", "-1" + "0" * 400])
def test_a_vector_that_is_not_finite_costs_its_item_alone(
    scripted: Scripted, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    body = f'{{"data": [{{"embedding": [0.5, 0.5]}}, {{"embedding": [0.5, {number}]}}]}}'
    scripted.always(200, body.encode())
    assert cli.main(["embed", *texts(2), "--url", scripted.url]) == 3
    output, error = capsys.readouterr()
    assert [json.loads(line)["name"] for line in output.splitlines()] == ["text 0"]
    assert "skipped text 1: the API answered with an embedding that is not finite" in error


def test_vectors_of_two_models_do_not_come_into_one_file(
    scripted: Scripted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        status, headers, content = result()(path, body)
        return status, headers, content.replace(b'"m"', b'"m"' if len(scripted.requests) < 3 else b'"another"')

    scripted.answer = answer
    out = tmp_path / "out.json"
    assert (
        cli.main(["embed", *texts(5), "--batch", "1", "--jobs", "1", "--url", scripted.url, "--output", str(out)]) == 3
    )
    assert "the model 'another', before it was 'm'" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "out.partial.json").read_text())) == 2


@pytest.mark.parametrize(
    "predictions", [None, [], [{"label": "a"}], [{"label": "b", "score": 1}], [{"label": "a", "score": "1"}]]
)
def test_scores_of_other_labels_make_no_row(scripted: Scripted, predictions: Any, tmp_path: Path) -> None:
    scripted.always(200, json.dumps({"data": [{"predictions": predictions}]}).encode())
    assert cli.main(["classify", "s3://b/k", "--label", "a", "--url", scripted.url]) == 1
