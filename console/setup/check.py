"""One thing that was looked at, and what to do where it is not as it has to be."""

from typing import NamedTuple

OK, MISSING, UNKNOWN = "ok", "missing", "unknown"


class Check(NamedTuple):
    """`state` is OK, MISSING or UNKNOWN; `found` says what there is, `fix` what to do."""

    name: str
    state: str
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check of something that is as it has to be."""
    return Check(name, OK, found)


def missing(name: str, found: str, fix: str) -> Check:
    """Return a check of something that is not there."""
    return Check(name, MISSING, found, fix)


def unknown(name: str, found: str, fix: str = "") -> Check:
    """Return a check that could not be made: nothing is refused for it."""
    return Check(name, UNKNOWN, found, fix)
