"""Check the tables of models.toml: that each has no unknown key, and has texts where texts belong."""

import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from console.suggest import did_you_mean
from layer.errors import SpecError
from layer.naming.validate import shown

Places = Mapping[str, Collection[str]]  # the keys of each table, by how the table is written


def refuse_unknown(path: Path, where: str, table: Mapping[str, Any], known: Collection[str], places: Places) -> None:
    """Raise SpecError for a key that the table does not have, naming the table that has it or the nearest key."""
    unknown = sorted(set(table) - set(known))
    if not unknown:
        return
    key = unknown[0]
    if owner := next((name for name, keys in places.items() if key in keys), None):
        raise SpecError(f"{path}: {where} has {key}, which is a key of {owner}: move it there")
    hint = did_you_mean(key, known)
    raise SpecError(f"{path}: {where} has an unknown key {key!r}: known are {', '.join(known)}{hint}")


def texts(path: Path, where: str, table: Mapping[str, Any], choices: Places) -> dict[str, str]:
    """Return a table whose values are texts; those of `choices` are one of them. Raises SpecError."""
    for key, value in table.items():
        one_of = f"set one of {', '.join(choices[key])}" if key in choices else ""
        if value == "":
            raise SpecError(f"{path}: {key} in {where} is empty: give it a value, or remove the line")
        if not isinstance(value, str):
            raise SpecError(f"{path}: {key} = {shown(value)} in {where} is not a text: {_as_text(key, value, one_of)}")
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
            value_shown = shown(value)
            raise SpecError(f"{path}: {key} = {value_shown} in {where} has control characters: write it without them")
        if key in choices and value not in choices[key]:
            hint = did_you_mean(value, choices[key])
            raise SpecError(f"{path}: {key} = {value!r} in {where}: {one_of}{hint}")
    return dict(table)


def _as_text(key: str, value: object, one_of: str) -> str:
    """Say what to write in place of a value; only a number may be what is meant, without its quotes."""
    if one_of:
        return f"{one_of}, in quotes"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'write {key} = "{value}"'
    return f'write one, in quotes, as {key} = "..."'
