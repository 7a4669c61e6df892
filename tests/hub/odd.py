"""A server that answers as a function says: what hubs, mirrors, proxies and login pages do, and the hub does not."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from layer.network import environment
from layer.sources import hub

VARIABLES = (
    *("HF_ENDPOINT", "HF_TOKEN", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"),
)
COMMIT = "c0ffee" + "0" * 34


@dataclass
class Reply:
    """One response. Without `length`, content-length is the body's; "" leaves it out and closes the connection."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: str | None = None
    pause: Callable[[], object] | None = None  # between the bytes of the body, one at a time


PAGE = Reply(body=b"<!DOCTYPE html><title>Sign in to\x1b[31m Hotel</title>", headers={"content-type": "text/html"})


@dataclass
class Odd:
    """The server's address, what it was asked, and how it answers."""

    url: str
    answer: Callable[[str, Mapping[str, str]], Reply]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def about(**facts: Any) -> Reply:
    """What the hub says of a repository, changed by `facts`."""
    siblings = [{"rfilename": "open_clip_config.json", "size": 2, "blobId": "9e26dfeeb6e641a33dae4961196235bdb965b21b"}]
    data = {"id": "acme/tiny", "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}, **facts}
    return Reply(body=json.dumps(data).encode(), headers={"content-type": "application/json"})


def closing(reply: Reply) -> Reply:
    """Return the response with a connection that ends behind it."""
    return Reply(reply.status, reply.body, {**reply.headers, "connection": "close"}, reply.length)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        odd: Odd = self.server.odd  # type: ignore[attr-defined]
        headers = {name.lower(): value for name, value in self.headers.items()}
        odd.asked.append((self.path, headers))
        reply = odd.answer(self.path, headers)
        self.send_response(reply.status)
        length = str(len(reply.body)) if reply.length is None else reply.length
        for name, value in {**reply.headers, **({"content-length": length} if length else {})}.items():
            self.send_header(name, value)
        if not length:
            self.close_connection = True
        self.end_headers()
        try:
            self._send(reply)
        except OSError:
            self.close_connection = True  # the client has had enough

    def _send(self, reply: Reply) -> None:
        if reply.pause is None:
            self.wfile.write(reply.body)
            return
        for byte in reply.body:
            self.wfile.write(bytes([byte]))
            reply.pause()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def odd_hub(answer: Callable[[str, Mapping[str, str]], Reply]) -> Iterator[Odd]:
    """Run it for the length of the block; `answer` takes the path and the headers, their names in lower case."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    odd = server.odd = Odd(f"http://127.0.0.1:{server.server_port}", answer)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield odd
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, answer: Reply | Callable[[str, Mapping[str, str]], Reply], path: str = ""
) -> Iterator[Odd]:
    """Run one that is HF_ENDPOINT, below `path`, for the length of the block."""
    with odd_hub(answer if callable(answer) else lambda _path, _headers: answer) as odd:
        monkeypatch.setenv("HF_ENDPOINT", odd.url + path)
        yield odd


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process begin anew: nothing of this machine's environment counts, nothing that was asked is known."""
    for name in (*VARIABLES, *environment.OFFLINE, *environment.CA_FILES):
        monkeypatch.delenv(name, raising=False)
    for name in (*environment.PROXIES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(environment, "_client", None)
    monkeypatch.setattr(hub, "_known", {})
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere/token")
