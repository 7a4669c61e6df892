"""The local server while it stops: what was taken is answered whole, and what comes then is told so."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devserver import environment
from devserver.environment import Environment
from devserver.server import RequestHandler
from tests.patience import SECONDS
from tests.unit.fake_bundle import write

ROOT = Path(__file__).parents[3]
BODY = "x" * 3_000_000  # more than the system holds for a connection


class Front(RequestHandler):
    """Answers when the test lets it, and marks what was sent whole."""

    invoked, go_on, sending, sent = (threading.Event() for _ in range(4))
    before_send: Callable[[], Any] = staticmethod(lambda: None)

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        self.invoked.set()
        assert self.go_on.wait(SECONDS)
        return {"statusCode": 200, "headers": {}, "body": BODY, "isBase64Encoded": False}

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if status == 200:
            self.before_send()
        super()._send(status, headers, body)
        if status == 200:
            self.sent.set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    for name in ("invoked", "go_on", "sent"):
        monkeypatch.setattr(Front, name, threading.Event())
    monkeypatch.setattr(Front, "environment", Environment())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    Front.go_on.set()
    server.shutdown()
    server.server_close()


def started(function: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_what_was_taken_is_sent_whole_and_what_comes_then_is_refused(port: int) -> None:
    first, kept = (http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS) for _ in range(2))
    kept.connect()  # as a browser keeps one open
    first.request("GET", "/v1/models")
    assert Front.invoked.wait(SECONDS)
    stopping = started(Front.environment.shutdown)
    while not Front.environment._ended:
        time.sleep(0.01)
    kept.request("GET", "/v1/models")
    refused = kept.getresponse()
    assert (refused.status, refused.read(), refused.headers["connection"]) == (
        503,
        b'{"message": "Service Unavailable"}',
        "close",
    )
    assert stopping.is_alive()
    Front.go_on.set()
    answer = first.getresponse()
    assert (answer.status, len(answer.read())) == (200, len(BODY))
    stopping.join(SECONDS)
    assert not stopping.is_alive()


def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have the next answer wait for an event, which is returned, just before it is sent."""
    sending, send = threading.Event(), threading.Event()

    def wait() -> None:
        sending.set()
        assert send.wait(SECONDS)

    monkeypatch.setattr(Front, "before_send", staticmethod(wait))
    Front.sending = sending
    Front.go_on.set()
    return send


def test_the_end_waits_for_an_answer_that_is_on_its_way(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends behind it, and with the process what a thread has not sent."""
    send, ended = held(monkeypatch), list[bool]()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    client.request("GET", "/v1/models")
    assert Front.sending.wait(SECONDS)

    def stop() -> None:
        Front.environment.shutdown()
        ended.append(Front.sent.is_set())

    stopping = started(stop)
    stopping.join(0.3)
    send.set()
    assert len(client.getresponse().read()) == len(BODY)
    stopping.join(SECONDS)
    assert ended == [True]


def test_who_does_not_read_its_answer_does_not_keep_the_server(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "SEND_SECONDS", 0.1)
    send = held(monkeypatch)
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    client.request("GET", "/v1/models")
    assert Front.sending.wait(SECONDS)
    Front.environment.shutdown()
    assert not Front.sent.is_set()
    send.set()
    client.close()


SWALLOWING = """
import pathlib, time

class Held:
    def __del__(self):
        pathlib.Path(__file__).with_name("begun").touch()
        time.sleep(5)

_held = Held()
del _held
routes = {("GET", "/ext/hello"): lambda request, service: {}}
"""


def test_ctrl_c_during_the_start_ends_it_wherever_the_import_is(tmp_path: Path) -> None:
    """An exception in __del__ is lost, as in a callback of the import system: the server went on, half loaded."""
    own = tmp_path / "handler_ext"
    own.mkdir()
    (own / "__init__.py").write_text(SWALLOWING)
    bundle = write(tmp_path / "bundle")
    environ = {**os.environ, "OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "devserver", "--port", "0", "--extensions", str(own)]
    server = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (own / "begun").exists():
            assert server.poll() is None
            time.sleep(0.02)
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=SECONDS)
    finally:
        server.kill()
    assert (server.returncode, out, err) == (130, "", "stopped\n")
