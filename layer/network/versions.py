"""Which version of a file the first part of a download is of, by the server's own mark: an ETag, or a date.

An address may serve another file tomorrow, of the same size: its end must not be put behind today's beginning.
"""

from pathlib import Path
from typing import Any

MAX_MARK = 1000  # characters


def known(tag: Path) -> str:
    """Return the mark that was kept with a part, "" where there is none."""
    try:
        with tag.open(encoding="ascii") as stream:
            return stream.read(MAX_MARK)
    except (OSError, ValueError):
        return ""


def condition(tag: Path | None) -> dict[str, str]:
    """Return the header by which a server sends the rest of that version alone, of another all (RFC 9110, If-Range)."""
    return {"if-range": known(tag)} if tag else {}


def is_same(tag: Path | None, response: Any) -> bool:
    """Tell whether a response goes on with the version of the tag; keep the mark of one that begins anew."""
    if tag is None:
        return True
    mark = _mark(response)
    if response.status_code == 206:
        return mark in ("", known(tag))  # which may leave it out, once it was asked for that version
    tag.write_text(mark, encoding="ascii")
    return True


def _mark(response: Any) -> str:
    """Return a strong ETag, else the date of the last change; "" where the server tells neither."""
    found: str = response.headers.get("etag", "")
    if not found.startswith('"'):
        found = response.headers.get("last-modified", "")
    return found if found.isascii() and found.isprintable() and len(found) < MAX_MARK else ""
