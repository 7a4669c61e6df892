"""Refuse an output that would replace or change what the same command reads, before anything is written."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from layer.errors import StorageError

SAME, HOLDS, INSIDE = "is", "has in it", "lies in"  # also words of the message
REPLACED = (SAME, HOLDS)  # relations in which replacing the output destroys the place
CHANGED = (SAME, INSIDE)  # relations in which writing into the output changes the place
CACHE = "--cache"  # a command adds files to it, and never replaces it as a whole

Read = tuple[str, Path]  # what it is, for the message, and where it is


def relation(output: Path, place: Path) -> str | None:
    """Return how an output relates to a place, links followed: SAME, HOLDS, INSIDE, or None if they are apart."""
    one, other = _ways(output), _ways(place)
    if one[0] == other[0]:
        return SAME
    if one[0] in other:
        return HOLDS
    return INSIDE if other[0] in one else None


def refuse(output: Path, places: Iterable[Read], relations: Sequence[str], option: str = "--output") -> None:
    """Raise StorageError if `output`, the value of `option`, has one of `relations` to a place that is read."""
    for what, place in places:
        found = relation(output, place)
        if found in relations:
            harm = "replace" if found in REPLACED and option != CACHE else "change"
            raise StorageError(f"{output} {found} {what}, and would {harm} it: give {option} a place apart from it")


def _ways(path: Path) -> list[object]:
    """Return the identity of a path and of each directory above it: the same for every name of an existing place."""
    real = Path(os.path.realpath(path))
    return [_identity(one) for one in (real, *real.parents)]


def _identity(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino
