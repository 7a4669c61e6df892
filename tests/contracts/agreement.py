"""Compare the copies of one fact, and name every place where it stands."""

from pprint import pformat
from typing import Any


def agree(fact: str, copies: dict[str, Any]) -> None:
    """Fail where the copies differ. `copies` are the values by the place that holds each."""
    values = list(copies.values())
    if any(value != values[0] for value in values):
        listing = "\n".join(f"{place}:\n{pformat(value)}" for place, value in copies.items())
        raise AssertionError(f"{fact}: these places differ, make them equal\n{listing}")
