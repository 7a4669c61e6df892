"""What a server states about a file that it sends: its size and its sha256."""

from dataclasses import dataclass
from typing import Any

from layer.errors import FetchError
from layer.network import refusals


@dataclass(frozen=True)
class Announced:
    """What the server stated about a file that it sent; None if it did not."""

    size: int | None
    sha256: str | None


def announced(response: Any) -> Announced:
    """Return what the hub, and the host that it redirected to, state about the file."""
    sha256, size = None, None
    for answer in (*response.history, response):
        etag = answer.headers.get("x-linked-etag", answer.headers.get("etag", "")).removeprefix("W/").strip('"')
        if sha256 is None and len(etag) == 64 and all(char in "0123456789abcdef" for char in etag):
            sha256 = etag
    length = response.headers.get("content-length", "")
    if response.status_code == 206:
        length = response.headers.get("content-range", "").rpartition("/")[2]
    if length.isdigit() and response.headers.get("content-encoding", "identity") == "identity":
        size = int(length)
    return Announced(size, sha256)


def check(response: Any, stated: Announced, size: int | None, beginning: bytes, where: str) -> None:
    """Raise FetchError, before anything is written, for a response that cannot be the file."""
    # A mirror may send a vocabulary as text/html, and compressed, so that its size is not said: the type is no proof.
    typed = size is None or stated.size is not None
    if (size is None or stated.size != size) and refusals.is_other(response, beginning, typed):
        raise refusals.unexpected(response, beginning, where, "the file")
    if size is not None and stated.size not in (None, size):
        raise FetchError(
            f"{where}: {stated.size} bytes are sent, the hub says {size}. Run the build again; if it is a mirror, "
            "tell whoever runs it, or unset HF_ENDPOINT"
        )
    if size is None and stated.size is None and response.headers.get("transfer-encoding") != "chunked":
        raise FetchError(f"{where}: the server does not say where the file ends. Use another HF_ENDPOINT")
