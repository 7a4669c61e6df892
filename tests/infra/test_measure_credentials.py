"""`make measure --profile`: the CDK CLI itself signs by that profile, whatever keys the environment has."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.measure.account import AWS, Account
from benchmarks.measure.errors import MeasureError
from benchmarks.measure.stack import CDK, Cdk
from benchmarks.measure.stopping import Stopping

REGION = "eu-central-1"
DENIED = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
)


@contextmanager
def aws() -> Iterator[tuple[str, set[str]]]:
    """Listen as AWS, deny everything, and keep whose requests came, by their keys."""
    keys: set[str] = set()

    class Denying(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.update(re.findall(r"Credential=([^/]+)/", self.headers.get("authorization", "")))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(403)
            self.send_header("content-type", "text/xml")
            self.send_header("content-length", str(len(DENIED)))
            self.end_headers()
            self.wfile.write(DENIED)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Denying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", keys
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("profile", "key"), [("theirs", "OFPROFILE"), (None, "OFENVIRONMENT")])
def test_the_cdk_cli_signs_as_the_measuring_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str | None, key: str
) -> None:
    (tmp_path / "credentials").write_text("[theirs]\naws_access_key_id = OFPROFILE\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text(f"[profile theirs]\nregion = {REGION}\n")
    account = Account(None, REGION, "111122223333", AWS, 10, profile)
    with aws() as (address, keys):
        for name, value in {
            "AWS_ACCESS_KEY_ID": "OFENVIRONMENT",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_ENDPOINT_URL": address,
            "HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        cdk = Cdk(CDK, account, os.open(os.devnull, os.O_RDONLY), Stopping())
        with pytest.raises(MeasureError, match="cdk bootstrap ended with status 1"):
            cdk.run(tmp_path, "bootstrap", f"aws://{account.number}/{REGION}")

    assert keys == {key}
