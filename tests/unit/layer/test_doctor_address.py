"""What the doctor sends to a running function, and what it never shows."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from layer.doctor.checks.address import address_problems
from layer.errors import DoctorError


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str | None]]]:
    """A function's address, and the credentials that reach it."""
    seen: list[str | None] = []

    class Function(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            self.rfile.read(int(self.headers["content-length"] or 0))
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Function) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.mark.parametrize("around", ["{}", "{}\n", "{}\r\n", " {}", '"{}"', "\ufeff{}", "Bearer {}", "'bearer {}'\n"])
def test_a_key_is_sent_without_what_a_file_or_copying_left_around_it(
    asked: tuple[str, list[str | None]], around: str
) -> None:
    url, seen = asked
    list(address_problems(url, around.format("s3cret")))

    assert set(seen) == {"Bearer s3cret"}


@pytest.mark.parametrize("key", [None, "", "\n", '""'])
def test_without_a_key_none_is_sent(asked: tuple[str, list[str | None]], key: str | None) -> None:
    url, seen = asked
    list(address_problems(url, key))

    assert set(seen) == {None}


@pytest.mark.parametrize("key", ["s3c\nret", "s3c ret", "s3cré", "s3c\0ret"])
def test_what_no_header_may_carry_is_told_and_not_shown(asked: tuple[str, list[str | None]], key: str) -> None:
    url, seen = asked
    with pytest.raises(DoctorError, match="OPENCLIP_API_KEY is not a key") as caught:
        list(address_problems(url, key))

    assert "s3c" not in str(caught.value)
    assert seen == []
