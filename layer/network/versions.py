"""Remember the version of a partly downloaded file, by the server's mark: an ETag, or a date.

An address may serve another file of the same size tomorrow: its end must not be appended to today's beginning.
"""

from pathlib import Path
from typing import Any

MAX_MARK = 1000  # characters


def known(tag: Path) -> str:
    """Return the mark that was stored with a part; "" if there is none."""
    try:
        with tag.open(encoding="ascii") as stream:
            return stream.read(MAX_MARK)
    except (OSError, ValueError):
        return ""


def condition(tag: Path | None) -> dict[str, str]:
    """Return the header If-Range (RFC 9110): the server sends the rest of that version, or all of another one."""
    return {"if-range": known(tag)} if tag else {}


def is_same(tag: Path | None, response: Any) -> bool:
    """Tell whether a response is of the version of `tag`, or of a version from its beginning."""
    if tag is None or response.status_code != 206:
        return True
    return _mark(response) in ("", known(tag))  # which may leave it out, once it was asked for that version


def store(tag: Path | None, response: Any) -> None:
    """Store the mark of a response that starts from zero."""
    if tag:
        tag.write_text(_mark(response), encoding="ascii")


def _mark(response: Any) -> str:
    """Return a strong ETag, else the date of the last change; "" if the server sends neither."""
    found: str = response.headers.get("etag", "")
    if not found.startswith('"'):
        found = response.headers.get("last-modified", "")
    return found if found.isascii() and found.isprintable() and len(found) < MAX_MARK else ""
