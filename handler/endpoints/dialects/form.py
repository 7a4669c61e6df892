"""A body of multipart/form-data (RFC 7578) as its fields' bytes: split at its boundary, in one pass over the body."""

import re

from handler.errors import ApiError, shorten
from handler.messages import Request

MAX_PARTS = 16
MAX_HEAD = 4_096  # bytes of one part's headers
BOUNDARY = re.compile(r""";\s*boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))\s*(?:;|$)""", re.IGNORECASE)
NAME = re.compile(r"""\r\ncontent-disposition:\s*form-data\s*;\s*name=(?:"([^"\r\n]*)"|([^\s;,"]+))""", re.IGNORECASE)


def read_form(request: Request) -> dict[str, bytes]:
    """Return each field's bytes by its name. Raises ApiError unsupported_media_type or invalid_form."""
    found = BOUNDARY.search(request.headers.get("content-type", ""))
    if request.media_type != "multipart/form-data" or not found:
        kind = shorten(request.media_type)
        raise ApiError("unsupported_media_type", f"content-type is {kind}: send multipart/form-data with its boundary")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("utf-8", "replace")
    parts = (b"\r\n" + request.body).split(delimiter, MAX_PARTS + 2)
    if len(parts) > MAX_PARTS + 2:
        raise _invalid(f"it has more than {MAX_PARTS} parts")
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise _invalid("it does not end with its boundary and two hyphens")
    return dict(_part(part) for part in parts[1:-1])


def _part(part: bytes) -> tuple[str, bytes]:
    """Return a part's name and content."""
    head, blank, content = part.partition(b"\r\n\r\n")
    if not blank or len(head) > MAX_HEAD or not head.startswith(b"\r\n"):
        raise _invalid("a part has no headers, or too many")
    name = NAME.search(head.decode("utf-8", "replace"))
    if not name:
        raise _invalid("a part has no name")
    return name[1] if name[1] is not None else name[2], content


def _invalid(why: str) -> ApiError:
    return ApiError("invalid_form", f"the body is not a multipart/form-data: {why}")
