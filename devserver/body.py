"""Read a request's body from a connection, by its content length or in chunks (RFC 9112)."""

import re
from email.message import Message
from io import BufferedIOBase

MAX_LINE = 256  # bytes of a chunk's size, with its extensions, or of a trailer's field


class BodyError(Exception):
    """A body that cannot be read. Its connection cannot be used again. The message is HTTP's own reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_body(stream: BufferedIOBase, headers: Message, limit: int) -> bytes:
    """Return the body, of at most `limit` bytes. Raises BodyError: 400, 411, 413 or 501."""
    coding, lengths = headers.get_all("transfer-encoding", []), headers.get_all("content-length", [])
    if coding:
        if lengths:  # two servers might take two lengths for the right one
            raise BodyError(400, "Bad Request")
        if [one.strip().lower() for one in coding] != ["chunked"]:
            raise BodyError(501, "Not Implemented")
        return _chunks(stream, limit)
    if len(set(lengths)) > 1 or not all(re.fullmatch("[0-9]+", one) for one in lengths):
        raise BodyError(400, "Bad Request")
    length = int(lengths[0][:20]) if lengths else 0
    if length > limit:
        raise BodyError(413, "Request Entity Too Large")
    body = stream.read(length)
    if len(body) < length:  # who sent it is gone: half a body must not be taken for the whole
        raise BodyError(400, "Bad Request")
    return body


def _chunks(stream: BufferedIOBase, limit: int) -> bytes:
    body = bytearray()
    while size := _size(_line(stream)):
        if len(body) + size > limit:
            raise BodyError(413, "Request Entity Too Large")
        body += stream.read(size)
        if _line(stream):
            raise BodyError(400, "Bad Request")
    for _ in range(32):  # trailers, which API Gateway drops
        if not _line(stream):
            return bytes(body)
    raise BodyError(400, "Bad Request")


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(MAX_LINE)
    if not line.endswith(b"\r\n"):
        raise BodyError(400, "Bad Request")
    return line[:-2]


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
        raise BodyError(400, "Bad Request")
    return int(digits, 16)
