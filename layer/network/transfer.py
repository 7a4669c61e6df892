"""Fetch a response or a file over HTTP, bounded: in bytes, in time without progress, in redirects and in tries."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, BinaryIO

from layer.errors import FetchError
from layer.network import environment, refusals, versions

MAX_RESPONSE = 32 << 20  # bytes of JSON: a repository of 100,000 files
RESPONSE_SECONDS = 30.0  # for all of a response
MAX_WAIT = 30  # seconds that a server may ask us to wait; a longer wait is the user's decision
TRIES = 3  # without any progress between them
CHUNK = 1 << 20
WINDOW_SECONDS = 30.0  # a download that brings less than WINDOW_BYTES in this time has stopped
WINDOW_BYTES = 30_000
AGAIN = (408, 429, 502, 503, 504)


@dataclass(frozen=True)
class Announced:
    """What the server stated about a file that it sent; None if it did not."""

    size: int | None
    sha256: str | None


def get_json(url: str, where: str) -> Any:
    """Return the JSON that a URL answers with. Raises FetchError, which begins with `where`."""
    import httpx2

    environment.check_name(url)
    for tries_left in reversed(range(TRIES)):
        try:
            with _stream(url, environment.token_headers(url)) as response:
                body = _read(response, where)
                if response.status_code >= 400:
                    if tries_left and _wait(response):
                        continue
                    raise refusals.refused(response, body, where)
            return _parse(response, body, where)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            if tries_left and isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
                continue
            raise refusals.unreachable(error, url, where) from error
    raise AssertionError("the last try returns or raises")


def _stream(url: str, headers: dict[str, str]) -> AbstractContextManager[Any]:
    return environment.client().stream("GET", url, headers=headers)  # type: ignore[no-any-return]


def _read(response: Any, where: str) -> bytes:
    """Read a whole body, as long as it is a response's."""
    body, deadline = bytearray(), monotonic() + RESPONSE_SECONDS
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_RESPONSE:
            raise FetchError(f"{where}: the response is longer than {MAX_RESPONSE >> 20} MB. Check HF_ENDPOINT")
        if monotonic() > deadline:
            raise FetchError(f"{where}: the response takes longer than {RESPONSE_SECONDS:.0f} s. Try again later")
    return bytes(body)


def _parse(response: Any, body: bytes, where: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusals.unexpected(response, body, where, "the hub's JSON") from error


def _wait(response: Any) -> bool:
    """Wait as long as the server asks, or a second; return False, at once, if another try would not help."""
    if response.status_code not in AGAIN:
        return False
    asked = response.headers.get("retry-after", "1").strip()
    seconds = int(asked) if asked.isdigit() else 1
    if seconds > MAX_WAIT:
        return False
    if seconds > 1:
        print(f"note: the hub asks to wait {seconds} s", file=sys.stderr)
    sleep(seconds)
    return True


def download(
    url: str,
    stream: BinaryIO,
    where: str,
    *,
    limit: int,
    size: int | None = None,
    headers: dict[str, str] | None = None,
    advance: Callable[[int], object] = lambda _: None,
    tag: Path | None = None,
) -> Announced:
    """Append the rest of a file to `stream`, and reconnect if the connection breaks.

    It must have `size` bytes, or as many as announced, and at most `limit`. `tag`, if the hash is not known, stores the
    server's version mark: for another version, this starts from zero. Raises FetchError (`where` first) or OSError.
    """
    import httpx2

    announced, tries, furthest = Announced(size, None), TRIES, stream.tell()
    if size is not None and stream.tell() > size:
        _restart(stream, advance)
    while size is None or stream.tell() < size:
        rest = _rest(stream, tag, advance)
        try:
            with _stream(url, {**(headers or {}), **rest}) as response:
                if response.status_code < 400 and _is_same(tag, response, rest, where):
                    announced = _receive(response, stream, where, min(limit, size or limit), size, advance, tag)
                    break
                body = _read(response, where) if response.status_code >= 400 else b""
            if response.status_code < 400 or (response.status_code == 416 and rest):
                _restart(stream, advance)
            elif not (tries := tries - 1) or not _wait(response):
                raise refusals.refused(response, body, where)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            tries = TRIES if stream.tell() > furthest else tries - 1  # begun anew, the same bytes are no progress
            furthest = max(furthest, stream.tell())
            if not tries or not _is_break(error):
                raise refusals.unreachable(error, url, where) from error
            sleep(1)
    return announced


def _is_same(tag: Path | None, response: Any, rest: dict[str, str], where: str) -> bool:
    """Tell whether a response is of the version of `tag`. Raises FetchError for a part that was not asked for."""
    if response.status_code == 206 and not rest:
        raise FetchError(f"{where}: the server sends a part, and was asked for the whole file. Use another address")
    return versions.is_same(tag, response)


def _is_break(error: Exception) -> bool:
    """Tell whether an established connection broke, so that a new one may deliver the rest."""
    import httpx2

    ended = isinstance(error, httpx2.TimeoutException | httpx2.NetworkError | httpx2.RemoteProtocolError)
    return ended and not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)


def _rest(stream: BinaryIO, tag: Path | None, advance: Callable[[int], object]) -> dict[str, str]:
    """Return the headers that ask for the part of the file that is missing."""
    if tag and not versions.known(tag):
        _restart(stream, advance)
    offset = stream.tell()
    return {"range": f"bytes={offset}-", **versions.condition(tag)} if offset else {}


def _restart(stream: BinaryIO, advance: Callable[[int], object]) -> None:
    advance(-stream.tell())
    stream.seek(0)
    stream.truncate()


def _receive(
    response: Any,
    stream: BinaryIO,
    where: str,
    limit: int,
    size: int | None,
    advance: Callable[[int], object],
    tag: Path | None,
) -> Announced:
    import httpx2

    chunks = response.iter_bytes()
    chunk = next(chunks, b"")
    announced = _announced(response)
    _check_announced(response, announced, size, chunk, where)
    if not _goes_on(response, stream.tell(), where):  # the server sends all of it, whatever it was asked
        _restart(stream, advance)  # not before: a network's login page is no reason to remove what is there
        versions.store(tag, response)
    pace = _Pace(where)
    while chunk:
        if stream.tell() + len(chunk) > limit:
            raise FetchError(f"{where} is longer than {limit} bytes, the limit for this file: it was not stored")
        stream.write(chunk)
        advance(len(chunk))
        pace.count(len(chunk))
        chunk = next(chunks, b"")
    # RFC 9110: a server may send less than it was asked for. One that says no length ends as a broken connection does.
    unsaid = not {"content-length", "transfer-encoding"} & response.headers.keys()
    if stream.tell() < (wanted := announced.size or (size if unsaid else None) or 0):
        raise httpx2.RemoteProtocolError(f"{stream.tell()} of {wanted} bytes were sent")
    return announced


def _goes_on(response: Any, offset: int, where: str) -> bool:
    """Tell whether a response is a part, and not the whole file. Raises FetchError for another part."""
    if response.status_code != 206:
        return False
    if not str(response.headers.get("content-range")).startswith(f"bytes {offset}-"):
        raise FetchError(f"{where}: the server sends another part than the requested one. Run the build again")
    return True


def _check_announced(response: Any, announced: Announced, size: int | None, beginning: bytes, where: str) -> None:
    """Raise FetchError, before anything is written, for a response that cannot be the file."""
    if (size is None or announced.size != size) and refusals.is_other(response, beginning):
        raise refusals.unexpected(response, beginning, where, "the file")
    if size is not None and announced.size not in (None, size):
        raise FetchError(
            f"{where}: {announced.size} bytes are sent, the hub says {size}. Run the build again; if it is a mirror, "
            "tell whoever runs it, or unset HF_ENDPOINT"
        )
    if size is None and announced.size is None and response.headers.get("transfer-encoding") != "chunked":
        raise FetchError(f"{where}: the server does not say where the file ends. Use another HF_ENDPOINT")


def _announced(response: Any) -> Announced:
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


class _Pace:
    """Ends a download that goes on without bringing anything: a byte now and then keeps every timeout away."""

    def __init__(self, where: str) -> None:
        self.where, self.since, self.bytes = where, monotonic(), 0

    def count(self, size: int) -> None:
        self.bytes += size
        now = monotonic()
        if now - self.since >= WINDOW_SECONDS:
            if self.bytes < WINDOW_BYTES:
                raise FetchError(
                    f"{self.where} has nearly stopped: {self.bytes} bytes in {now - self.since:.0f} s. Run the build "
                    "again, it goes on from there"
                )
            self.since, self.bytes = now, 0
