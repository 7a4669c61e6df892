"""What a server calls a file, and how the file begins: which of them makes it a web page."""

import gzip
import hashlib
from pathlib import Path

import pytest

from layer.sources import fetch
from layer.sources.expected import Expected
from layer.sources.resolve import Need
from tests.hub.odd import COMMIT, Reply, forget, serving


def take(monkeypatch: pytest.MonkeyPatch, folder: Path, reply: Reply, body: bytes, name: str) -> bytes:
    """Fetch a file whose size and hash the hub has said."""
    forget(monkeypatch)
    expected = {name: Expected(len(body), hashlib.sha256(body).hexdigest())}
    with serving(monkeypatch, reply):
        fetch.download(fetch.Located(Need("acme/tiny", ()), None, COMMIT, None, folder, expected), name, lambda _: None)
    return (folder / name).read_bytes()


@pytest.mark.parametrize("typed", ["text/html; charset=utf-8", "text/plain"])
@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "chunked"])
def test_a_file_of_known_size_is_no_page_because_a_mirror_calls_it_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packed: bool, typed: str
) -> None:
    """Its length is not said, as by nginx, which compresses text/html alone unless it is told otherwise."""
    body = b"<pad>\n</s>\nred\n"
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    headers = {"content-type": typed, **({"content-encoding": "gzip"} if packed else {"transfer-encoding": "chunked"})}
    reply = Reply(body=gzip.compress(body) if packed else chunked, headers=headers, length=None if packed else "")
    assert take(monkeypatch, tmp_path, reply, body, "vocab.txt") == body


@pytest.mark.parametrize("size", [0x213C, 0x0A3C, 0x203C])
def test_weights_whose_header_s_length_reads_as_a_tag_are_no_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int
) -> None:
    body = size.to_bytes(8, "little") + b'{"__metadata__": {}' + b" " * (size - 20) + b"}"
    reply = Reply(body=gzip.compress(body), headers={"content-encoding": "gzip"})
    assert take(monkeypatch, tmp_path, reply, body, "open_clip_model.safetensors") == body
