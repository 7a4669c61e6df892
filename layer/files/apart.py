"""Whether an output would replace or change what a command reads: told before anything is written."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from layer.errors import StorageError

SAME, HOLDS, INSIDE = "is", "has in it", "lies in"
REPLACED = (SAME, HOLDS)
CHANGED = (SAME, INSIDE)
CACHE = "--cache"  # nothing is replaced as a whole there

Read = tuple[str, Path]  # what it is, for the message, and where it is


def relation(output: Path, place: Path) -> str | None:
    """Say how an output lies to a place, through links: SAME, HOLDS, INSIDE, or None where they are apart."""
    one, other = _ways(output), _ways(place)
    if one[0] == other[0]:
        return SAME
    if one[0] in other:
        return HOLDS
    return INSIDE if other[0] in one else None


def refuse(output: Path, places: Iterable[Read], relations: Sequence[str], option: str = "--output") -> None:
    """Raise StorageError where `output`, of `option`, has one of `relations` to a place that the command reads."""
    for what, place in places:
        found = relation(output, place)
        if found in relations:
            harm = "replace" if found in REPLACED and option != CACHE else "change"
            raise StorageError(f"{output} {found} {what}, and would {harm} it: give {option} a place apart from it")


def _ways(path: Path) -> list[object]:
    """Return what tells a place and each directory above it: the same by whatever name, where it is there."""
    real = Path(os.path.realpath(path))
    return [_identity(one) for one in (real, *real.parents)]


def _identity(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return path
    return found.st_dev, found.st_ino
