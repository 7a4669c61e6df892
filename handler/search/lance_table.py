"""The table of a LanceDB index: its columns, records as rows, rows as hits, and a filter as its expressions."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.search.records import RANGES, About, Gone, Hit, Item, Where, identity

ABOUT = b"openclip"  # the schema's metadata key, which the batch's Parquet files have too
METADATA = ("etag", "size", "last_modified", "width", "height")
PRIMARY_KEY = {b"lance-schema:unenforced-primary-key": b"true"}  # Lance: two writers that insert one id collide
LAST = 0x10FFFF  # the last character of Unicode
FIRST_MOMENT, LAST_MOMENT = -62_135_596_800_000, 253_402_300_799_000  # of the years 1 to 9999


def schema(about: About) -> Any:
    """Return the columns. `id` is the primary key: by it LanceDB knows which writers collide.

    A key that is gone has no vector, so that no search finds it, and keeps its `seen_at`.
    """
    import pyarrow as pa

    columns = [
        pa.field("id", pa.string(), nullable=False, metadata=PRIMARY_KEY),
        pa.field("bucket", pa.string()),
        pa.field("key", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("last_modified", pa.int64()),
        pa.field("seen_at", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("gone", pa.bool_()),
        pa.field("vector", pa.list_(pa.float32(), about.dimensions)),
    ]
    return pa.schema(columns, metadata={ABOUT: json.dumps(about._asdict(), sort_keys=True)})


def read_about(found: Any) -> About:
    """Read what a table's schema says of its vectors. Raises ValueError, KeyError or TypeError for one of another."""
    fields = json.loads((found.metadata or {})[ABOUT])
    return About(*(fields[name] for name in About._fields))


def rows(records: Sequence[Item | Gone], about: About) -> Any:
    """Return records as rows of the table."""
    import pyarrow as pa

    items = [record if isinstance(record, Item) else None for record in records]
    columns = {
        "id": [identity(record.bucket, record.key) for record in records],
        "bucket": [record.bucket for record in records],
        "key": [record.key for record in records],
        "etag": [item.etag if item else "" for item in items],
        "size": [item.size if item else 0 for item in items],
        "last_modified": [item.last_modified if item else 0 for item in items],
        "seen_at": [record.seen_at for record in records],
        "width": [item.width if item else 0 for item in items],
        "height": [item.height if item else 0 for item in items],
        "gone": [item is None for item in items],
    }
    wanted = schema(about)
    zeros = np.zeros(about.dimensions, np.float32)
    matrix = np.stack([item.vector if item else zeros for item in items]) if items else np.empty((0, zeros.size))
    arrays = [pa.array(values, wanted.field(name).type) for name, values in columns.items()]
    return pa.table([*arrays, vectors(matrix, np.array(columns["gone"], bool))], schema=wanted)


def vectors(matrix: NDArray[Any], absent: NDArray[np.bool_]) -> Any:
    """Return float32 [N, D] as an Arrow column; `absent` [N] are those without a vector."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(matrix, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1], mask=pa.array(absent))


def hits(found: Any, with_vectors: bool) -> list[Hit]:
    """Return a search's rows as hits; of several with one distance the first by name comes first."""
    found = found.sort_by([("_distance", "ascending"), ("bucket", "ascending"), ("key", "ascending")])
    columns = {name: found[name].to_pylist() for name in ("bucket", "key", "_distance", *METADATA)}
    columns["last_modified"] = [moment(value) for value in columns["last_modified"]]
    wanted = found["vector"].combine_chunks().flatten().to_numpy() if with_vectors and found.num_rows else None
    matrix = None if wanted is None else wanted.reshape(found.num_rows, -1)
    return [
        Hit(
            columns["bucket"][row],
            columns["key"][row],
            max(-1.0, min(1.0, 1.0 - columns["_distance"][row])),
            {name: columns[name][row] for name in METADATA},
            None if matrix is None else matrix[row],
        )
        for row in range(found.num_rows)
    ]


def moment(milliseconds: int) -> str:
    """Write a time as in ISO 8601. A file system may tell one outside of its years: the nearest counts."""
    milliseconds = max(FIRST_MOMENT, min(LAST_MOMENT, milliseconds))
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def expression(where: Where) -> Any:
    """Return a filter as LanceDB's own expression, in which values are never SQL; None where it says nothing."""
    from lancedb.expr import col, lit

    parts = []
    if where.bucket is not None:
        parts.append(col("bucket") == lit(where.bucket))
    if where.prefix:
        parts.append(col("key") >= lit(where.prefix))
        if (end := after(where.prefix)) is not None:
            parts.append(col("key") < lit(end))
    for name in RANGES:
        limits = getattr(where, name)
        if limits is not None and limits.gte is not None:
            parts.append(col(name) >= lit(limits.gte))
        if limits is not None and limits.lte is not None:
            parts.append(col(name) <= lit(limits.lte))
    whole = None
    for part in parts:
        whole = part if whole is None else whole & part
    return whole


def after(prefix: str) -> str | None:
    """Return the first text that sorts behind all that begin with `prefix`, by code points; None where none does."""
    kept = prefix.rstrip(chr(LAST))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)  # no surrogate is a character
