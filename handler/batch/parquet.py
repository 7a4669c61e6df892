"""The output file: one row an image, and in the file's metadata what the vectors are of."""

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from handler.batch.rows import Embedded, Row

if TYPE_CHECKING:
    from arro3.core import Array, Table

MAGIC = b"PAR1"  # begins and ends a file
METADATA_KEY = "openclip"  # one key that holds JSON: several come out in an order that differs from run to run


def write(rows: Sequence[Embedded], dimensions: int, about: dict[str, Any]) -> bytes:
    """Return the rows as Parquet; the same rows give the same bytes.

    Columns: bucket, key, etag (text), size (bytes), last_modified, seen_at (UTC, milliseconds), width, height (pixels),
    vector (fixed_size_list of D numbers, of the type that the rows' vectors have). `about` is kept as JSON under the
    metadata key `openclip`: the model, its vectors_sha256 and the settings that change a vector.
    """
    from arro3.core import Array, DataType, Table  # late: only a batch writes Parquet
    from arro3.io import write_parquet

    columns: dict[str, Any] = {
        "bucket": Array([item.row.bucket for item in rows], DataType.utf8()),
        "key": Array([item.row.key for item in rows], DataType.utf8()),
        "etag": Array([item.etag for item in rows], DataType.utf8()),
        "size": Array(np.array([item.size for item in rows], np.int64)),
        "last_modified": _times([item.modified for item in rows]),
        "seen_at": _times([item.row.seen_at for item in rows]),
        "width": Array(np.array([item.width for item in rows], np.int32)),
        "height": Array(np.array([item.height for item in rows], np.int32)),
        "vector": _vectors(rows, dimensions),
    }
    out = io.BytesIO()
    write_parquet(
        Table.from_pydict(columns),
        out,
        compression="zstd(1)",
        dictionary_enabled=False,  # with dictionaries vectors take a third more room, and five times as long
        key_value_metadata={METADATA_KEY: json.dumps(about, sort_keys=True)},
    )
    return out.getvalue()


def read(data: bytes) -> tuple[list[Embedded], dict[str, Any]]:
    """Return what `write` was given: the rows and `about`. Raises ValueError for what is no such file."""
    from arro3.core import list_flatten
    from arro3.io import read_parquet

    if len(data) < 12 or data[:4] != MAGIC or data[-4:] != MAGIC:
        raise ValueError("no Parquet file, or not all of one")
    try:
        table = read_parquet(io.BytesIO(data)).read_all()
        about: dict[str, Any] = json.loads(dict(table.schema.metadata)[METADATA_KEY.encode()])
        _check(table, about)
        columns = {name: table[name].combine_chunks() for name in table.column_names} if table.num_rows else {}
        vectors = list_flatten(columns["vector"]).to_numpy().reshape(table.num_rows, -1) if columns else ()
        texts = [columns[name].to_pylist() if columns else () for name in ("bucket", "key", "etag")]
        names = ("size", "last_modified", "seen_at", "width", "height")
        numbers = [_integers(columns[name]) if columns else () for name in names]
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # how Rust reports a damaged file
            raise ValueError(f"not a Parquet file of a batch: {error}") from error
        raise
    found = zip(*texts, *numbers, vectors, strict=True)
    return [
        Embedded(Row(bucket, key, size, seen), etag, size, modified, width, height, vector)
        for bucket, key, etag, size, modified, seen, width, height, vector in found
    ], about


def _check(table: "Table", about: Any) -> None:
    """Raise ValueError for columns of other types than `write` gives them, or without a value somewhere."""
    from arro3.core import DataType

    texts, sizes = dict.fromkeys(("bucket", "key", "etag"), "utf8"), dict.fromkeys(("width", "height"), "int32")
    types = {name: getattr(DataType, kind)() for name, kind in {**texts, "size": "int64", **sizes}.items()}
    types |= dict.fromkeys(("last_modified", "seen_at"), DataType.timestamp("ms", tz="UTC"))
    for name, wanted in types.items():
        if table.schema.field(name).type != wanted or table[name].null_count:
            raise ValueError(f"the column {name} has another type, or rows without a value")
    vector = table.schema.field("vector").type
    if not DataType.is_fixed_size_list(vector) or vector.value_type not in (DataType.float32(), DataType.int8()):
        raise ValueError("the column vector has another type")
    if not isinstance(about, dict) or not isinstance(about.get("settings"), dict):
        raise TypeError("its metadata does not say what the vectors are of")


def _integers(column: "Array") -> list[int]:
    from arro3.core import DataType

    found: list[int] = column.cast(DataType.int64()).to_numpy().tolist()
    return found


def _times(milliseconds: list[int]) -> "Array":
    from arro3.core import Array, DataType

    return Array(np.array(milliseconds, np.int64)).cast(DataType.timestamp("ms", tz="UTC"))


def _vectors(rows: Sequence[Embedded], dimensions: int) -> "Array":
    from arro3.core import Array, fixed_size_list_array

    matrix = np.stack([item.vector for item in rows]) if rows else np.empty((0, dimensions), np.float32)
    return fixed_size_list_array(Array(np.ascontiguousarray(matrix).ravel()), dimensions)
