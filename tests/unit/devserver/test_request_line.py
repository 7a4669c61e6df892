"""The first line of a request, in each form that HTTP has for it."""

import socket
import threading
from http.server import ThreadingHTTPServer

import pytest

from devserver.environment import Environment
from devserver.server import RequestHandler
from tests.patience import SECONDS


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/models", "/v1/models", ""),
        ("http://127.0.0.1:8080/v1/models?a=b", "/v1/models", "a=b"),
        ("HTTPS://host/v1/search?url=http://x/y", "/v1/search", "url=http://x/y"),
        ("http://host?a=b", "/", "a=b"),
        ("http://host", "/", ""),
    ],
)
def test_a_whole_address_is_taken_for_its_path(target: str, path: str, query: str) -> None:
    """RFC 9112, 3.2.2: "a server MUST accept the absolute-form in requests", which clients of a proxy send."""
    seen = []

    class Front(RequestHandler):
        environment = Environment()

        def invoke(self, event: dict[str, object]) -> dict[str, object]:
            seen.append((event["rawPath"], event["rawQueryString"]))
            return {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}

    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        with socket.create_connection(("127.0.0.1", server.server_port), SECONDS) as connection:
            connection.sendall(f"GET {target} HTTP/1.1\r\nhost: host\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 204")
        server.shutdown()
    Front.environment.shutdown()
    assert seen == [(path, query)]
