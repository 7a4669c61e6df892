"""The local server with a stand-in engine, and a server that answers as it is told: what the client talks to here."""

import json
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from openclip_lambda import exchange, transport
from openclip_lambda.cli import main as cli

from devserver.server import RequestHandler
from tests.unit.fake_bundle import FakeFunction

Run = Callable[..., int]
ROOT = Path(__file__).parents[3]
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine, and no waiting."""
    monkeypatch.setattr(exchange, "PAUSES", (0.0, 0.0, 0.0, 0.0))
    for name in ("OPENCLIP_URL", "OPENCLIP_API_KEY", *transport.CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFunction:
    """A function whose engine counts letters; the local server finds it in the place of the real one."""
    fake = FakeFunction(tmp_path / "bundle")
    stand_in = types.ModuleType("handler.app")
    stand_in.lambda_handler = lambda event, _: fake.invoke(event)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "handler.app", stand_in)
    return fake


class Recorder(RequestHandler):
    """The local server, which keeps Authorization headers and lengths, and may refuse the first requests."""

    seen: list[str | None] = []  # noqa: RUF012 - cleared for each test
    lengths: list[int] = []  # noqa: RUF012
    refusals: list[int] = []  # noqa: RUF012

    def _record(self) -> None:
        self.seen.append(self.headers.get("authorization"))
        self.lengths.append(int(self.headers.get("content-length", "0")))
        status = self.refusals.pop(0) if self.refusals else 0
        if status:  # 0 lets a request through
            self.rfile.read(self.lengths[-1])
            self._send(status, {"content-type": "application/json"}, b'{"message": "Forbidden"}')
        else:
            self._serve()

    do_GET = do_POST = _record

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(function: FakeFunction) -> Iterator[str]:
    """The address of the local server."""
    Recorder.seen.clear()
    Recorder.lengths.clear()
    Recorder.refusals.clear()
    yield from serving(Recorder)


@pytest.fixture
def run(url: str) -> Run:
    """Run the command line against the server; returns its exit status."""
    return lambda *arguments: cli.main([*map(str, arguments), "--url", url])


class Scripted:
    """Answers every request with `answer(path, body)`: status, headers, body. What came is in `requests`."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[str, bytes], tuple[int, dict[str, str], bytes]] = lambda path, body: (200, {}, b"{}")

    def always(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so from now on; underscores in names of headers are hyphens."""
        fixed = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda path, content: (status, fixed, body)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A server that answers as it is told."""
    yield from scripting()


@pytest.fixture
def other() -> Iterator[Scripted]:
    """A second one."""
    yield from scripting()


def scripting(given: Scripted | None = None) -> Iterator[Scripted]:
    """Serve what a Scripted answers."""
    script = given or Scripted()

    class Answer(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.requests.append((self.command, self.path, headers, body))
            status, answered, content = script.answer(self.path, body)
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **answered}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_CONNECT = _answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for script.url in serving(Answer):
        yield script


def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with a handler, each connection in a thread; yields the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def rows(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_text())
    return found


def skipped(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """File names that were skipped, with the reasons."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("skipped ")]
    parts = [line.removeprefix("skipped ").partition(": ") for line in lines]
    return {Path(name).name: reason for name, _, reason in parts}


def result(width: int = 4) -> Any:
    """Answer every item with a vector of that many numbers."""

    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        items = json.loads(body)["input"]
        data = [{"index": index, "embedding": [0.25] * width} for index in range(len(items))]
        return 200, {"content-type": "application/json"}, json.dumps({"data": data, "model": "m"}).encode()

    return answer


def python(*arguments: str | Path, **options: Any) -> "subprocess.Popen[bytes]":
    """Start the real command."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-m", "client", *map(str, arguments)], cwd=ROOT, **pipes)


def texts(count: int) -> Iterator[str]:
    for number in range(count):
        yield from ("--text", f"text {number}")
