"""Results as JSON, NPY or CSV, by the name of the file; written aside, then renamed."""

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from client.errors import OutputError

Row = dict[str, Any]  # name, and either embedding (a list of floats) or scores (by label)


def check(path: Path | None, formats: Sequence[str]) -> None:
    """Raise OutputError before the work is done, not after it."""
    if path is None:
        return
    if path.suffix not in formats:
        raise OutputError(f"{path} has no ending that is known here: {', '.join(formats)}")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no {path.absolute().parent}")


def write(rows: Sequence[Row], path: Path | None) -> None:
    """Write rows to a file of one of the formats; None is JSON, a line each, on standard output."""
    if path is None:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        sys.stdout.flush()
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(_FORMATS[path.suffix](rows))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    if path.suffix == ".npy":  # an array has no names: they stand beside it, one a line
        path.with_suffix(".txt").write_text("".join(f"{row['name']}\n" for row in rows), encoding="utf-8")


def _json(rows: Sequence[Row]) -> bytes:
    return json.dumps(list(rows), ensure_ascii=False, indent=1).encode()


def _npy(rows: Sequence[Row]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([row["embedding"] for row in rows], np.float32))
    return buffer.getvalue()


def _csv(rows: Sequence[Row]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    if "scores" in rows[0]:
        writer.writerow(["name", *rows[0]["scores"]])
        writer.writerows([row["name"], *row["scores"].values()] for row in rows)
    else:
        writer.writerow(["name", *range(len(rows[0]["embedding"]))])
        writer.writerows([row["name"], *row["embedding"]] for row in rows)
    return buffer.getvalue().encode()


_FORMATS = {".json": _json, ".npy": _npy, ".csv": _csv}
EMBEDDINGS = (".json", ".npy", ".csv")
SCORES = (".json", ".csv")
