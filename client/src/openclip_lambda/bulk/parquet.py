"""Convert the JSON lines that a run wrote into Parquet. Needs pyarrow, an extra."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openclip_lambda.errors import OutputError
from openclip_lambda.extras import install_command

ROWS = 1000  # of a row group: what is in memory at once


def check() -> None:
    """Raise OutputError where pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise OutputError(f".parquet needs pyarrow: {install_command('pyarrow')}, or choose .npy, .jsonl") from error


def aside(name: str) -> str:
    """Return the name of the file that Parquet is written to before it takes the place of lines of this name."""
    return f"{name}.parquet"


def replace(lines: Path) -> None:
    """Replace the lines by Parquet: columns for name, facts and `embedding` (float32 [D]), or one for each label.

    A byte of a name that is not UTF-8 is written as `\\\\udcXX`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = lines.with_name(aside(lines.name))
    try:
        writer = None
        for rows in _groups(lines):
            schema = writer.schema if writer else _schema(pa, rows[0])
            if writer is None:
                writer = pq.ParquetWriter(made, schema)
            writer.write_table(pa.Table.from_pylist([_flat(row) for row in rows], schema))
        if writer is not None:
            writer.close()
        made.replace(lines)
    finally:
        made.unlink(missing_ok=True)


def _groups(lines: Path) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    with lines.open(encoding="utf-8") as file:
        for line in file:
            rows.append(json.loads(line))
            if len(rows) == ROWS:
                yield rows
                rows = []
    if rows:
        yield rows


def _schema(pa: Any, row: dict[str, Any]) -> Any:
    if "scores" in row:
        return pa.schema([("name", pa.string()), *((label, pa.float64()) for label in row["scores"])])
    facts = [(fact, pa.string()) for fact in ("name", "sha256", "model", "manifest_sha256")]
    about = {key: str(row[key]) for key in ("model", "manifest_sha256") if row.get(key)}
    return pa.schema([*facts, ("embedding", pa.list_(pa.float32(), len(row["embedding"])))], metadata=about)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    name = row["name"].encode(errors="backslashreplace").decode()
    if "scores" in row:  # a label may be called as a field of the row is
        return {**row["scores"], "name": name}
    return {**row, "name": name}


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of embeddings that `replace` wrote. Raises OutputError where pyarrow is missing."""
    check()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for group in file.iter_batches(ROWS):
                yield from group.to_pylist()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
