"""The records of an index. Times are milliseconds since 1970; vectors are float32 [D] of unit length."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
ANY: Mapping[str, Any] = {}  # settings that choose nothing
STORED = {"vectors", "scale"}  # settings of a batch's files that say how a vector is stored, not what it is


class Item(NamedTuple):
    """One image to find. Of a folder, `bucket` is empty and `key` the path below the folder.

    `seen_at` is the time of the look: of several records of a key the latest counts. What is not known of an image
    (its size in bytes, its width and height in pixels) is 0, an unknown etag is empty.
    """

    bucket: str
    key: str
    etag: str
    size: int
    last_modified: int
    seen_at: int
    width: int
    height: int
    vector: Vector


class Gone(NamedTuple):
    """A key that was looked for at `seen_at` and was not there. It counts as much as an Item of that time does."""

    bucket: str
    key: str
    seen_at: int


class Hit(NamedTuple):
    """A result: `score` is the cosine, `metadata` has etag, size, last_modified, width and height."""

    bucket: str
    key: str
    score: float
    metadata: Mapping[str, Any]
    vector: Vector | None = None


class About(NamedTuple):
    """What an index's vectors are of: one of a bundle's models, and the settings that change a vector.

    `manifest_sha256` is `Manifest.vectors_sha256`: files and responses keep the name that earlier releases gave it.
    """

    model: str
    manifest_sha256: str
    settings: Mapping[str, Any]
    dimensions: int


class Range(NamedTuple):
    """Numbers from `gte` to `lte`, both included; None is no limit."""

    gte: int | None = None
    lte: int | None = None


class Where(NamedTuple):
    """What a hit must be like; every condition counts. `last_modified` is in milliseconds since 1970."""

    bucket: str | None = None
    prefix: str | None = None
    width: Range | None = None
    height: Range | None = None
    size: Range | None = None
    last_modified: Range | None = None


RANGES = ("width", "height", "size", "last_modified")  # the fields of Where that are a Range


def identity(bucket: str, key: str) -> str:
    """Name an object in one text: no bucket's name holds a slash."""
    return f"{bucket}/{key}"


def comparable(one: About, other: About) -> bool:
    """Tell whether vectors of both can be compared: of one model, and of images that were read alike."""
    return one[:2] == other[:2] and not differing(one.settings, other.settings)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Name the settings that both have, and otherwise, and that change what an image's vector is."""
    return sorted(name for name in one.keys() & other.keys() - STORED if one[name] != other[name])


def values(of: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return what several settings have of each that changes what an image's vector is, once each."""
    found: dict[str, list[Any]] = {}
    for settings in of:
        for name in settings.keys() - STORED:
            if settings[name] not in found.setdefault(name, []):
                found[name].append(settings[name])
    return found


def told(settings: Mapping[str, Any], names: Iterable[str] | None = None) -> str:
    """Write settings as messages have them: `exif_orientation=true`. Without `names` those that a user can set."""
    names = sorted(settings.keys() - STORED - {"normalize"}) if names is None else names
    return ", ".join(f"{name}={json.dumps(settings[name])}" for name in names)


def named(about: About) -> str:
    """Say in a message what vectors are of."""
    return f"{about.model} ({', '.join(filter(None, (about.manifest_sha256[:12], told(about.settings))))})"


def newest(records: "list[Item | Gone]") -> "list[Item | Gone]":
    """Return one record of each key: the latest look; of two at the same time, what is gone is gone."""
    found: dict[str, Item | Gone] = {}
    for record in records:
        name = identity(record.bucket, record.key)
        if name not in found or order(record) > order(found[name]):
            found[name] = record
    return list(found.values())


def order(record: "Item | Gone") -> tuple[int, bool, str]:
    """Return what two records of a key are compared by: the later look, then the deletion, then the etag."""
    return record.seen_at, isinstance(record, Gone), record.etag if isinstance(record, Item) else ""
