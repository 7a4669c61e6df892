"""The real Lambda runtime interface client under the real runtime interface emulator, on this host."""

import functools
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.patience import SECONDS

INVOKE = "/2015-03-31/functions/function/invocations"
ROOT = Path(__file__).parents[2]
EMULATOR = ROOT / "build" / "rie" / "aws-lambda-rie"
PORTS = iter(random.SystemRandom().sample(range(20_000, 30_000), 10_000))
# What runs the function, where the test itself runs in an environment of its own.
PYTHON = os.environ.get("FUNCTION_PYTHON", sys.executable)


@dataclass(frozen=True)
class Function:
    """A function that an emulator runs; one execution environment, as in Lambda.

    `send` brings the bytes of an event to the emulator's Invoke API, and returns the bytes of the response.
    """

    send: Callable[[bytes], bytes]

    def invoke(self, event: object) -> Any:
        """Invoke with the event, and return the decoded answer."""
        return json.loads(self.send(json.dumps(event).encode()))

    def get(self, path: str, query: str = "") -> tuple[int, Any]:
        """Invoke with the event that an HTTP API sends for a GET."""
        return self._http("GET", path, query, {}, "", False)

    def post(self, path: str, body: str, content_type: str, encoded: bool = False) -> tuple[int, Any]:
        """Invoke with the event that an HTTP API sends for a POST; `encoded` says that the body is base64."""
        return self._http("POST", path, "", {"content-type": content_type}, body, encoded)

    def _http(
        self, method: str, path: str, query: str, headers: dict[str, str], body: str, encoded: bool
    ) -> tuple[int, Any]:
        answer = self.invoke(
            {
                "version": "2.0",
                "routeKey": "$default",
                "rawPath": path,
                "rawQueryString": query,
                "headers": headers,
                "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
                "body": body,
                "isBase64Encoded": encoded,
            }
        )
        return answer["statusCode"], json.loads(answer["body"])


@contextmanager
def running(bundle: Path, cache: Path, environ: dict[str, str], root: Path = ROOT) -> Iterator[Function]:
    """Start a function on a bundle, with more environment variables, and stop it in the end. `root` has the handler."""
    port = free_port()
    command = [
        str(EMULATOR),
        "--log-level=error",
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{free_port()}",
        *(PYTHON, "-m", "awslambdaric", "handler.app.lambda_handler"),
    ]
    fixed = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/sbx_user1051",  # Lambda's, which is not there
        "OPENCLIP_BUNDLE_DIR": str(bundle),
        "OPENCLIP_CACHE_DIR": str(cache),
    }
    process = subprocess.Popen(command, cwd=root, env={**fixed, **environ})
    try:
        _wait_for(port, process)
        yield Function(functools.partial(_post, port))
    finally:
        process.terminate()
        process.wait(SECONDS)


def _post(port: int, event: bytes) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{INVOKE}", event, timeout=SECONDS) as answer:
        said: bytes = answer.read()
        return said


def free_port() -> int:
    """Return a port that nobody listens on, and another one each time.

    It is below those that the system gives to whoever connects, which could take it before the server does.
    """
    for port in PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port is taken")


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), SECONDS).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the runtime interface emulator did not start: run `make build/rie/aws-lambda-rie`")
