"""The local server in front of a function that runs elsewhere: events go there as they are, and what comes back."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from devserver import command
from devserver.remote import INVOKE, Remote
from devserver.server import RequestHandler


class Elsewhere(BaseHTTPRequestHandler):
    """An Invoke API which answers what it is told to, and keeps the events."""

    answer: ClassVar[bytes] = b""
    seen: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).seen.append((self.path, event))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[type[Elsewhere]]:
    Elsewhere.seen = []
    yield from (Elsewhere for _ in served(Elsewhere, "elsewhere"))


@pytest.fixture
def gateway(elsewhere: type[Elsewhere]) -> Iterator[http.client.HTTPConnection]:
    front = type(
        "Front", (RequestHandler,), {"remote": Remote(f"http://127.0.0.1:{PORTS['elsewhere']}/"), "api_key": "k"}
    )
    for port in served(front, "gateway"):
        yield http.client.HTTPConnection("127.0.0.1", port, timeout=20)


PORTS: dict[str, int] = {}


def served(handler: type[BaseHTTPRequestHandler], name: str) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    PORTS[name] = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def ask(gateway: http.client.HTTPConnection, key: str = "k") -> tuple[int, str]:
    gateway.request(
        "POST", "/v1/embeddings?a=b", b"{}", {"content-type": "application/json", "authorization": f"Bearer {key}"}
    )
    answer = gateway.getresponse()
    return answer.status, answer.read().decode()


def envelope(status: int, body: str) -> bytes:
    told = {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": body, "isBase64Encoded": False}
    return json.dumps(told).encode()


def test_the_event_is_the_gateways_and_the_response_comes_back(
    elsewhere: type[Elsewhere], gateway: http.client.HTTPConnection
) -> None:
    elsewhere.answer = envelope(418, "tea")

    assert ask(gateway) == (418, "tea")
    [(path, event)] = elsewhere.seen
    assert path == INVOKE
    assert (event["version"], event["rawPath"], event["rawQueryString"], event["body"]) == (
        "2.0",
        "/v1/embeddings",
        "a=b",
        "{}",
    )


def test_a_wrong_key_does_not_reach_the_function(
    elsewhere: type[Elsewhere], gateway: http.client.HTTPConnection
) -> None:
    assert ask(gateway, "wrong")[0] == 403
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "answer", [b'{"errorMessage": "out of memory", "errorType": "Runtime.ExitError"}', b"", b"[]", b"\xff"]
)
def test_a_function_that_fails_is_told_as_api_gateway_tells_it(
    elsewhere: type[Elsewhere], gateway: http.client.HTTPConnection, answer: bytes
) -> None:
    elsewhere.answer = answer
    assert ask(gateway) == (500, '{"message": "Internal Server Error"}')


def test_a_function_that_is_not_there_is_unavailable() -> None:
    answer = Remote("http://127.0.0.1:1").invoke({})
    assert (answer["statusCode"], json.loads(answer["body"])) == (503, {"message": "Service Unavailable"})


@pytest.mark.parametrize(
    "text", ["function:8080", "ftp://function", "http://", "http://f:x", "http://f/path", "http://f:0"]
)
def test_what_is_no_address_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--function", text])
    assert f"{text!r} is not a function's address: give one such as http://function:8080" in capsys.readouterr().err


def test_an_index_needs_the_handler_in_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--function", "http://function:8080", "--index", "somewhere"])
    assert "--function says that there is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"no HTTP\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000,
    ],
    ids=["nothing", "no HTTP", "cut", "a chunk that is cut", "deep"],
)
def test_a_function_that_ends_in_the_middle_of_its_answer_is_told(sent: bytes) -> None:
    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(16)  # what is left unread is answered with a reset, as by a process that was killed
            connection.sendall(sent)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        assert Remote(f"http://127.0.0.1:{server.getsockname()[1]}").invoke({})["statusCode"] == 500
        thread.join(10)
