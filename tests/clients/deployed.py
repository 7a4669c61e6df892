"""A way to an API that is deployed already: clients' base URLs point here, every request goes on to its gateway."""

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.clients.gateway import KEY, Gateway, listening
from tests.patience import SECONDS

# JSON: `port` on this machine, `host` as the gateway knows the API, `key` as it was generated.
VARIABLE = "OPENCLIP_DEPLOYED"
KEPT = ("content-type", "retry-after", "x-request-id")  # headers of a response that clients read


def found() -> dict[str, Any] | None:
    """Return where an API is deployed, None where the tests have to start one."""
    return json.loads(os.environ[VARIABLE]) if VARIABLE in os.environ else None


@contextmanager
def forwarding(api: dict[str, Any], guarded: bool) -> Iterator[Gateway]:
    """Forward to it: where it is not to be guarded, with its key; otherwise KEY stands for that."""

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            if gateway.throttle:  # the emulated gateway does not throttle: what the real one responses
                gateway.throttle -= 1
                _answer(self, 429, {"content-type": "application/json"}, b'{"message": "Too Many Requests"}')
                return
            connection = http.client.HTTPConnection("127.0.0.1", api["port"], timeout=SECONDS)
            path = self.path.replace(f"/k/{KEY}/", f"/k/{api['key']}/")
            connection.request(self.command, path, body, self._headers())
            answer = connection.getresponse()
            if answer.status not in (401, 403):  # what the gateway itself refused
                gateway.seen.append((self.command, self.path))
            kept = {name: value for name, value in answer.getheaders() if name.lower() in KEPT}
            _answer(self, answer.status, kept, answer.read())
            connection.close()

        do_GET = do_POST = _serve

        def _headers(self) -> dict[str, str]:
            headers = {name.lower(): value for name, value in self.headers.items()} | {"host": api["host"]}
            if not guarded or headers.get("authorization") == f"Bearer {KEY}":
                headers["authorization"] = f"Bearer {api['key']}"
            return headers

        def log_message(self, *_: object) -> None:
            """Say nothing: a test's output is its own."""

    with listening(Forward) as gateway:
        yield gateway


def _answer(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    handler.send_response(status)
    for name, value in {**headers, "content-length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
