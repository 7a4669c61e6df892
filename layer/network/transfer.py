"""Fetch a response or a file over HTTP, bounded: in bytes, in time without progress, in redirects and in tries."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, BinaryIO

from layer.errors import FetchError
from layer.network import environment, refusals, versions
from layer.network.announced import Announced, announced, check

MAX_RESPONSE = 32 << 20  # bytes of JSON: a repository of 100,000 files
RESPONSE_SECONDS = 30.0  # for all of a response
MAX_WAIT = 30  # seconds that a server may ask us to wait; a longer wait is the user's decision
TRIES = 3  # without any progress between them
CHUNK = 1 << 20
WINDOW_SECONDS = 30.0  # a download that brings less than WINDOW_BYTES in this time has stopped
WINDOW_BYTES = 30_000
AGAIN = (408, 429, 502, 503, 504)


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

    It has at most `limit` bytes, and `size` unless the server has fewer, which the caller refuses. `tag` keeps the
    version's mark if no hash is known: another version starts from zero. Raises FetchError (`where` first) or OSError.
    """
    import httpx2

    stated, tries, furthest, ends = Announced(size, None), TRIES, stream.tell(), set[int]()
    while stream.tell() != size:
        rest = _rest(stream, tag, size, advance)
        try:
            with _stream(url, {**(headers or {}), **rest}) as response:
                if response.status_code < 400 and _is_same(tag, response, rest, where):
                    stated = _receive(response, stream, where, limit, size, advance, tag, ends)
                    break
                body = _read(response, where) if response.status_code >= 400 else b""
            if response.status_code == 416 and stream.tell() in ends:  # the file ends there
                break
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
    return stated


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


def _rest(stream: BinaryIO, tag: Path | None, size: int | None, advance: Callable[[int], object]) -> dict[str, str]:
    """Return the headers that ask for the part of the file that is missing."""
    if (tag and not versions.known(tag)) or (size is not None and stream.tell() > size):
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
    ends: set[int],  # where responses ended that stated no length, and may have been broken off
) -> Announced:
    import httpx2

    chunks = response.iter_bytes()
    chunk = next(chunks, b"")
    stated = announced(response)
    check(response, stated, size, chunk, where)
    if not _goes_on(response, stream.tell(), where):  # the server sends all of it, whatever it was asked
        _restart(stream, advance)  # not before: a network's login page is no reason to remove what is there
        versions.store(tag, response)
    pace = _Pace(where)
    while chunk:
        if stream.tell() + len(chunk) > (most := min(limit, size or limit)):
            raise FetchError(f"{where} is longer than {most} bytes, the limit for this file: it was not stored")
        stream.write(chunk)
        advance(len(chunk))
        pace.count(len(chunk))
        chunk = next(chunks, b"")
    # RFC 9110: a server may send less than it was asked for. One that says no length ends as a broken connection does.
    unsaid = not {"content-length", "transfer-encoding"} & response.headers.keys()
    wanted = stated.size or (size if unsaid and stream.tell() not in ends else None) or 0
    if stream.tell() < wanted:
        ends.update({stream.tell()} if unsaid else ())
        raise httpx2.RemoteProtocolError(f"{stream.tell()} of {wanted} bytes were sent")
    return stated


def _goes_on(response: Any, offset: int, where: str) -> bool:
    """Tell whether a response is a part, and not the whole file. Raises FetchError for another part."""
    if response.status_code != 206:
        return False
    if not str(response.headers.get("content-range")).startswith(f"bytes {offset}-"):
        raise FetchError(f"{where}: the server sends another part than the requested one. Run the build again")
    return True


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
