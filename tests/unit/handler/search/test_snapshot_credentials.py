"""With SnapStart a function has no keys in its environment: it asks a local address for credentials that end."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.search_s3 import BUCKET, served

ROOT = Path(__file__).parents[4]
TOKEN = "of-this-environment"
# Reads and writes the index as the functions do, and lists what a batch wrote.
USE = f"""
from handler.search.lance import LanceIndex
from handler.search.source import Source
from tests.unit.search_world import ABOUT, item
index = LanceIndex("s3://{BUCKET}/snapshot")
index.prepare(ABOUT)
index.put([item("a.png", [1] * 8)], ABOUT)
Source("s3://{BUCKET}").listed()
print(index.count())
"""


@pytest.fixture
def vending() -> Iterator[tuple[str, list[str | None]]]:
    """The address that Lambda names in AWS_CONTAINER_CREDENTIALS_FULL_URI, and the tokens that it was asked with."""
    asked: list[str | None] = []

    class Vending(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["authorization"])
            ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            keys = {"AccessKeyId": "ASIA", "SecretAccessKey": "secret", "Token": "session", "Expiration": ends}
            body = json.dumps(keys).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Vending)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/credentials", asked
    server.shutdown()


def test_the_index_and_the_vectors_are_reached_with_a_snapshots_credentials(
    vending: tuple[str, list[str | None]],
) -> None:
    address, asked = vending
    with served() as (_, environment):
        plain = {name: value for name, value in {**os.environ, **environment}.items() if "_KEY" not in name}
        snapshot = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": address, "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN}
        done = subprocess.run(
            [sys.executable, "-c", USE],
            cwd=ROOT,
            env={**plain, **snapshot},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert len(asked) >= 3  # boto3, LanceDB and pyarrow, each for itself
    assert set(asked) == {TOKEN}
