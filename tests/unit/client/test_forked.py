"""A client in processes that were forked: multiprocessing on Linux, workers of a web server, loaders of a data set."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.unit.client.conftest import ROOT, serving

SCRIPT = """
import os, sys
from openclip_lambda.api import Api

def port(api):
    return api.get("/")["port"]

api = Api(sys.argv[1])
before = port(api)
source, sink = os.pipe()
if child := os.fork():
    os.waitpid(child, 0)
    print(before, int(os.read(source, 9)), port(api))
else:
    os.write(sink, str(port(api)).encode())
    os._exit(0)
"""


class Port(BaseHTTPRequestHandler):
    """Tells each caller which connection it came by."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"port": self.client_address[1]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ports() -> Iterator[str]:
    yield from serving(Port)


def test_a_forked_process_has_connections_of_its_own(ports: str) -> None:
    """Two processes on one connection read each other's responses, and take the vectors for their own."""
    environment = {"PYTHONPATH": str(ROOT / "client" / "src"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ports], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    before, in_child, after = map(int, done.stdout.split())
    assert in_child != before
    assert after == before
