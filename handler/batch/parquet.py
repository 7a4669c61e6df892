"""The output file: one row an image, and in the file's metadata what the vectors are of."""

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from handler.batch.rows import Embedded
from handler.models import LoadedModel

if TYPE_CHECKING:
    from arro3.core import Array

METADATA_KEY = "openclip"  # one key that holds JSON: several come out in an order that differs from run to run


def write(rows: Sequence[Embedded], model: LoadedModel, manifest_sha256: str, settings: dict[str, Any]) -> bytes:
    """Return the rows as Parquet; the same rows give the same bytes.

    Columns: bucket, key, etag (text), size (bytes), last_modified, seen_at (UTC, milliseconds), width, height (pixels),
    vector (fixed_size_list of D float32, unit length). The metadata key `openclip` holds the model, the bundle's
    manifest hash and the settings that change a vector.
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
        "vector": _vectors(rows, model.entry.embed_dim),
    }
    about = {"model": model.entry.id, "manifest_sha256": manifest_sha256, "settings": settings}
    out = io.BytesIO()
    write_parquet(
        Table.from_pydict(columns),
        out,
        compression="zstd(1)",
        dictionary_enabled=False,  # with dictionaries vectors take a third more room, and five times as long
        key_value_metadata={METADATA_KEY: json.dumps(about, sort_keys=True)},
    )
    return out.getvalue()


def _times(milliseconds: list[int]) -> "Array":
    from arro3.core import Array, DataType

    return Array(np.array(milliseconds, np.int64)).cast(DataType.timestamp("ms", tz="UTC"))


def _vectors(rows: Sequence[Embedded], dimensions: int) -> "Array":
    from arro3.core import Array, fixed_size_list_array

    matrix = np.stack([item.vector for item in rows]) if rows else np.empty((0, dimensions), np.float32)
    return fixed_size_list_array(Array(np.ascontiguousarray(matrix, np.float32).ravel()), dimensions)
