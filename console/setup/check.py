"""The result of one check, and what to do if it failed."""

from typing import NamedTuple

OK, MISSING, UNKNOWN = "ok", "missing", "unknown"


class Check(NamedTuple):
    """`state` is OK, MISSING or UNKNOWN; `found` says what there is, `fix` what to do."""

    name: str
    state: str
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that succeeded."""
    return Check(name, OK, found)


def missing(name: str, found: str, fix: str) -> Check:
    """Return a check that failed."""
    return Check(name, MISSING, found, fix)


def unknown(name: str, found: str, fix: str = "") -> Check:
    """Return a check that could not be made: no command is refused because of it."""
    return Check(name, UNKNOWN, found, fix)
