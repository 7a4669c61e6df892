"""The fields of a JSON body, one by one: of the right type and known, or an ApiError that names the field."""

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from handler.errors import ApiError, shorten

T = TypeVar("T", str, bool, int)

NAMES = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}


def parse_json(body: bytes) -> Any:
    """Read the body. Raises ApiError invalid_json, saying where it went wrong."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # also bytes that are not UTF-8, and numbers of thousands of digits
        raise ApiError("invalid_json", f"the body is not JSON: {error}") from error


def check_object(value: Any, known: Collection[str], param: str | None = None) -> Mapping[str, Any]:
    """Return an object that has known fields only: a misspelt one, silently ignored, would change the answer."""
    if not isinstance(value, dict):
        raise wrong_type(value, "an object", param)
    for name in value:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            mend = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            where = f"{param}.{printable(name)}" if param else printable(name)
            raise ApiError("unknown_field", f"unknown field {shorten(name)}: {mend}", where)
    return value


def optional(body: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a field of that type, None where it is absent or null. Raises ApiError invalid_type."""
    value = body.get(name)
    if value is not None and type(value) is not kind:  # not isinstance: true is no whole number
        raise wrong_type(value, NAMES[kind], name)
    return value


def choice(body: Mapping[str, Any], name: str, options: Collection[str]) -> str | None:
    """Return a field that has one of a few values, or None. Raises ApiError invalid_type or invalid_value."""
    value = optional(body, name, str)
    if value is not None and value not in options:
        raise ApiError("invalid_value", f"{name} is {shorten(value)}: set it to {' or '.join(options)}", name)
    return value


def wrong_type(value: Any, wanted: str, param: str | None) -> ApiError:
    """The error for a value of another JSON type than the one wanted."""
    found = "null" if value is None else NAMES.get(type(value), "an object")
    return ApiError("invalid_type", f"{param or 'the body'} is {found}: send {wanted}", param)


def printable(name: object) -> str:
    """Return a field's name as it can stand in an answer, whatever a client made of it."""
    return shorten(name).strip("'\"")
