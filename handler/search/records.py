"""The records of an index. Times are milliseconds since 1970; vectors are float32 [D] of unit length."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


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
