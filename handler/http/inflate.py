"""A request's body that a client compressed with gzip: inflated up to a limit that is known before."""

import zlib

from handler.errors import ApiError, shorten
from handler.messages import too_large

# A body may become so much larger, or so large in any case. JSON of texts is compressed to a tenth or so, of images to
# three quarters; deflate's most is 1,032.
MAX_RATIO = 200
ALWAYS_BYTES = 1_000_000
MAX_MEMBERS = 32  # gzip files may follow each other; empty ones cost time, and say nothing
# What HTTP APIs make of gzip's second byte under a content type that they take for text, and so of much behind it.
AS_TEXT = b"\x1f\xef\xbf\xbd"
GZIP = 16 + zlib.MAX_WBITS


def inflate(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return the body as it was before. Raises ApiError unsupported_media_type, invalid_gzip or body_too_large."""
    if coding not in ("gzip", "x-gzip"):
        raise ApiError(
            "unsupported_media_type", f"content-encoding is {shorten(coding)}: send gzip, or the body as it is"
        )
    if body.startswith(AS_TEXT):
        raise _invalid("API Gateway passed it on as text: send content-type: application/vnd.api+json")
    limit = min(max_bytes, max(ALWAYS_BYTES, MAX_RATIO * len(body)))
    parts: list[bytes] = []
    left = limit
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(GZIP)
        try:
            parts.append(member.decompress(body, left + 1))
        except zlib.error as error:
            raise _invalid(str(error)) from error
        left -= len(parts[-1])
        if left < 0:
            if limit < max_bytes:
                raise _invalid(f"it becomes more than {MAX_RATIO} times as large: send it as it is")
            raise too_large(max_bytes)
        if not member.eof:
            raise _invalid("it ends too early")
        if not (body := member.unused_data):
            return b"".join(parts)
    raise _invalid(f"it consists of more than {MAX_MEMBERS} members")


def _invalid(why: str) -> ApiError:
    return ApiError("invalid_gzip", f"content-encoding says gzip, but the body cannot be taken: {why}")
