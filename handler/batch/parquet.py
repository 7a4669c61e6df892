"""The output file: one row an image, and in the file's metadata what the vectors are of."""

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handler.batch.rows import Embedded, Row, read_about

if TYPE_CHECKING:
    from arro3.core import Array, Table

MAGIC = b"PAR1"  # begins and ends a file
TEXTS = ("bucket", "key", "etag")
TIMES = ("last_modified", "seen_at")
PIXELS = ("width", "height")
NUMBERS = ("size", *TIMES, *PIXELS)
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
    """Return what `write` was given: the rows and `about`. Raises ValueError for what is no such file.

    Other programs may have written the same rows again: what handler.search.source takes is taken here.
    """
    from arro3.io import read_parquet

    if len(data) < 12 or data[:4] != MAGIC or data[-4:] != MAGIC:
        raise ValueError("no Parquet file, or not all of one")
    try:
        table = read_parquet(io.BytesIO(data)).read_all()
        about = _about(table)
        if not table.num_rows:
            return [], about
        columns = {name: _column(table, name) for name in (*TEXTS, *NUMBERS)}
        texts, numbers = [columns[name].to_pylist() for name in TEXTS], [_integers(columns[name]) for name in NUMBERS]
        vectors = _matrix(table)
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # how Rust reports a damaged file
            raise ValueError(f"not a Parquet file of a batch: {error}") from error
        raise
    found = zip(*texts, *numbers, vectors, strict=True)
    return [
        Embedded(Row(bucket, key, size, seen), etag, size, modified, width, height, vector)
        for bucket, key, etag, size, modified, seen, width, height, vector in found
    ], about


def _about(table: "Table") -> dict[str, Any]:
    """Return what the metadata says. Raises ValueError where it does not, or where a column is not there."""
    if wrong := [name for name in (*TEXTS, *NUMBERS, "vector") if table.column_names.count(name) != 1]:
        raise ValueError(f"it does not have one column {wrong[0]}")
    return read_about(dict(table.schema.metadata).get(METADATA_KEY.encode()))


def _column(table: "Table", name: str) -> "Array":
    """Return a column as `write` has it: other writers have other types for the same texts, times and numbers.

    Raises ValueError where a row has no value, or one that the type of `write` does not hold exactly.
    """
    from arro3.core import DataType

    wanted = DataType.utf8() if name in TEXTS else DataType.int32() if name in PIXELS else DataType.int64()
    if name in TIMES:
        wanted = DataType.timestamp("ms", tz="UTC")
    given = table[name].combine_chunks()
    found = given.cast(wanted)  # what it cannot cast has no value
    if found.null_count or (name not in TEXTS and (_numbers(found.cast(given.type)) != _numbers(given)).any()):
        raise ValueError(f"its column {name} has rows without a value, or with one that a batch's type cannot hold")
    return found


def _numbers(column: "Array") -> NDArray[Any]:
    from arro3.core import DataType

    found: NDArray[Any] = (column.cast(DataType.int64()) if DataType.is_timestamp(column.type) else column).to_numpy()
    return found


def _matrix(table: "Table") -> NDArray[Any]:
    """Return the vectors, [N, D]: int8, or float32. Raises ValueError for one that is not there or has no direction."""
    from arro3.core import DataType, list_flatten

    kind = table.schema.field("vector").type
    numbers = kind.value_type
    if not DataType.is_fixed_size_list(kind) or numbers is None or not DataType.is_numeric(numbers):
        raise ValueError("its column vector is no fixed_size_list of numbers")
    column = table["vector"].combine_chunks()
    flat = list_flatten(column)
    if column.null_count or flat.null_count:
        raise ValueError("it has rows without a vector")
    flat = flat if numbers == DataType.int8() else flat.cast(DataType.float32())
    matrix: NDArray[Any] = flat.to_numpy().reshape(table.num_rows, -1)
    squares = np.einsum("nd,nd->n", matrix, matrix, dtype=np.float32)
    if not (np.isfinite(squares).all() and squares.all()):
        raise ValueError("it has a vector that has no direction")
    return matrix


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
