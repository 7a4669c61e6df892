"""Foreign JSON: parsed, and taken as what it should be; where it is something else, as empty."""

import json
from typing import Any

from layer.doctor.limits import UnreadableError


def parse(text: str | bytes, where: str) -> object:
    """Parse JSON. Raises UnreadableError for what is none, nests too deep, or has numbers of thousands of digits."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(where, f"not JSON that can be read: {error or type(error).__name__}") from error


def as_dict(value: object) -> dict[str, Any]:
    """Return an object, and of anything else none of its keys."""
    return value if isinstance(value, dict) else {}


def part(value: object, key: str, where: str) -> dict[str, Any]:
    """Return the object under a key, empty where there is none. Raises UnreadableError for anything else."""
    if not isinstance(value, dict):
        raise UnreadableError(where, f"it is not a JSON object but of type {type(value).__name__}")
    found = value.get(key)
    if found is not None and not isinstance(found, dict):
        raise UnreadableError(where, f"its {key} is not a JSON object but of type {type(found).__name__}")
    return found or {}


def string(value: dict[str, Any], key: str, where: str) -> str | None:
    """Return the string under a key, None where there is none. Raises UnreadableError for anything else."""
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise UnreadableError(where, f"its {key} is not a string but of type {type(found).__name__}")
    return found


def as_dicts(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_strings(value: object) -> list[str]:
    """Return the strings of a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
