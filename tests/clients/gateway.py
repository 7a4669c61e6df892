"""An HTTP API in front of a function under the real runtime interface emulator: what clients' base URLs point to.

Events, limits, and what the gateway says to a wrong key are those of `devserver`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from devserver.environment import Environment
from devserver.server import RequestHandler
from tests.local.emulator import running

KEY = "the-right-key"


class Gateway:
    """One API: `url` as clients take it, `throttle` how many of the next requests are answered with 429."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.throttle = 0
        self.seen: list[tuple[str, str]] = []  # method and path of what reached the function


@contextmanager
def serving(bundle: Path, cache: Path, key: str = "", **environ: str) -> Iterator[Gateway]:
    """Serve a bundle; with a key, requests need it."""
    with running(bundle, cache, environ) as function:

        class Front(RequestHandler):
            api_key = key
            # The emulator runs one invocation at a time, as an execution environment does.
            environment = Environment()

            def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
                gateway.seen.append((self.command, self.path))
                answer: dict[str, Any] = function.invoke(event)
                return answer

            def _refusal(self) -> tuple[int, str] | None:
                if gateway.throttle:
                    gateway.throttle -= 1
                    return 429, "Too Many Requests"
                return super()._refusal()

            def log_message(self, *_: object) -> None:
                """Say nothing: a test's output is its own."""

        with listening(Front) as gateway:
            yield gateway
        Front.environment.shutdown()


@contextmanager
def listening(front: type[BaseHTTPRequestHandler]) -> Iterator[Gateway]:
    """Answer requests with that class, each in a thread of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), front)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Gateway(server.server_port)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
