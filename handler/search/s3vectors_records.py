"""Records as S3 Vectors has them: a key, a vector and metadata, and filters in its own language."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from handler.errors import ApiError
from handler.search.lance_table import moment
from handler.search.records import RANGES, About, Gone, Hit, Item, Vector, Where, identity

ABOUT = "about"  # the key of the record that says what the vectors are of: no digest
SHOWN = ("etag", "size", "last_modified", "width", "height")
NUMBER_BYTES = 22  # of a float32 as JSON, its comma included
RECORD_BYTES = 3_000  # of the rest of a record as JSON


def name_of(bucket: str, key: str) -> str:
    """Name a record: the service's keys are shorter than a bucket and an S3 key may be together."""
    return hashlib.sha256(identity(bucket, key).encode()).hexdigest()


def vector_of(name: str, record: Item | Gone, dimensions: int) -> dict[str, Any]:
    """Return a record as `PutVectors` takes it. `key`, `etag` and `about` are metadata that no query filters by."""
    if isinstance(record, Gone):
        facts: dict[str, Any] = {"etag": "", "size": 0, "last_modified": 0, "width": 0, "height": 0}
        data = _somewhere(dimensions)
    else:
        facts = {field: getattr(record, field) for field in SHOWN}
        data = np.asarray(record.vector, np.float32).tolist()
    known = {"bucket": record.bucket, "key": record.key, "seen_at": record.seen_at, **facts}
    return {"key": name, "data": {"float32": data}, "metadata": {**known, "gone": isinstance(record, Gone)}}


def about_vector(about: About) -> dict[str, Any]:
    """Return the record that says what the vectors are of."""
    metadata = {"about": json.dumps(about._asdict(), sort_keys=True), "gone": True}
    return {"key": ABOUT, "data": {"float32": _somewhere(about.dimensions)}, "metadata": metadata}


def read_about(metadata: Mapping[str, Any]) -> About:
    """Read that record's metadata."""
    fields = json.loads(metadata["about"])
    return About(*(fields[name] for name in About._fields))


def order_of(metadata: Mapping[str, Any]) -> tuple[int, bool, str]:
    """Return what a stored record is compared by, as records.order has it."""
    return int(metadata["seen_at"]), bool(metadata["gone"]), str(metadata["etag"])


def filter_of(where: Where) -> dict[str, Any]:
    """Return a filter in the service's language, which leaves out what is gone. Raises ApiError for a prefix."""
    if where.prefix:
        raise ApiError(
            "invalid_value",
            "an index in S3 Vectors cannot be filtered by the beginning of a key: leave `prefix` out, or use LanceDB",
            "filter.prefix",
        )
    parts: list[dict[str, Any]] = [{"gone": {"$eq": False}}]
    if where.bucket is not None:
        parts.append({"bucket": {"$eq": where.bucket}})
    for name in RANGES:
        limits = getattr(where, name)
        if limits is not None and limits.gte is not None:
            parts.append({name: {"$gte": limits.gte}})
        if limits is not None and limits.lte is not None:
            parts.append({name: {"$lte": limits.lte}})
    return parts[0] if len(parts) == 1 else {"$and": parts}


def hit(found: Mapping[str, Any], vector: Vector | None) -> Hit:
    """Return a row of `QueryVectors`' answer as a hit. Numbers of metadata come back as floats."""
    metadata = found["metadata"]
    shown = {name: metadata[name] if name == "etag" else int(metadata[name]) for name in SHOWN}
    shown["last_modified"] = moment(shown["last_modified"])
    return Hit(metadata["bucket"], metadata["key"], 1.0 - found["distance"], shown, vector)


def _somewhere(dimensions: int) -> list[float]:
    """Return a vector that is not zero, which the cosine needs: no query returns it."""
    return [1.0] + [0.0] * (dimensions - 1)
