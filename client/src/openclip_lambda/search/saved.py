"""Read the output of `embed`: vectors, their names, and the model that they come from."""

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclip_lambda import os_errors
from openclip_lambda.bulk import parquet
from openclip_lambda.bulk.tables import EMBEDDINGS
from openclip_lambda.counts import counted
from openclip_lambda.errors import ClientError


class SavedError(ClientError):
    """A file that is no output of `embed`."""


@dataclass(frozen=True)
class Saved:
    """Rows of an output: `names` of N, `vectors` float32 [N, D]; `model` and `manifest` where it says them."""

    path: Path
    names: list[str]
    vectors: NDArray[np.float32]
    model: str | None
    manifest: str | None

    def place(self, name: str) -> Path | None:
        """Return the file of a row: names are relative to where `embed` ran, or to the output."""
        for found in dict.fromkeys((name, _with_bytes(name))):
            for path in (Path(found), self.path.parent / found):
                if os.path.isfile(path):  # noqa: PTH113 - False, too, for a text that is no path at all
                    return path
        return None


def _with_bytes(name: str) -> str:
    r"""Undo what CSV and Parquet have for a byte of a name that is not UTF-8: `\udcXX` in letters."""
    return re.sub(r"\\u(dc[89a-f][0-9a-f])", lambda found: chr(int(found[1], 16)), name)


def load(path: Path) -> Saved:
    """Read an output by its ending; an array stays on disk. Raises SavedError with the fix."""
    suffix = path.suffix.lower()
    if suffix not in EMBEDDINGS:
        raise SavedError(f"{path} has no ending of an output: {', '.join(EMBEDDINGS)}")
    try:
        with path.open("rb"):  # else a wrong name is told as what lies beside it, or by a library
            pass
        saved = _array(path) if suffix == ".npy" else _rows(path, _read(path, suffix))
    except OSError as error:
        raise SavedError(f"{path} cannot be read: {os_errors.reason(error)}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise SavedError(f"{path} is no output of `embed`: embed again with --output {path.name}") from error
    if saved.vectors.ndim != 2 or not saved.vectors.size:
        raise SavedError(f"{path} has no vectors in it: embed again with --output {path.name}")
    if len(saved.names) != len(saved.vectors):
        raise SavedError(
            f"{path} has {counted(len(saved.vectors), 'vector')} and {counted(len(saved.names), 'name')}: embed again"
        )
    return saved


def _array(path: Path) -> Saved:
    beside = path.with_suffix(".names.json")
    if not beside.exists():
        raise SavedError(f"{beside} is missing, which has the names of {path.name}: put it there, or embed again")
    facts = json.loads(beside.read_text(encoding="utf-8"))
    vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    if vectors.dtype != np.float32:
        raise ValueError("no float32")
    return Saved(path, facts["names"], vectors, facts.get("model"), facts.get("manifest_sha256"))


def _rows(path: Path, rows: Iterator[dict[str, Any]]) -> Saved:
    names, vectors = [], []
    facts: dict[str, Any] = {}
    for row in rows:
        names.append(str(row["name"]))
        vectors.append(np.asarray(row["embedding"], np.float32))
        facts = facts or row
    stacked = np.stack(vectors) if vectors else np.empty((0, 0), np.float32)
    return Saved(path, names, stacked, facts.get("model") or None, facts.get("manifest_sha256") or None)


def _read(path: Path, suffix: str) -> Iterator[dict[str, Any]]:
    if suffix == ".parquet":
        yield from parquet.rows(path)
        return
    with path.open(encoding="utf-8", newline="") as file:
        if suffix == ".json":
            yield from json.load(file)
        elif suffix == ".jsonl":
            yield from (json.loads(line) for line in file if line.strip() and not line.startswith('{"report"'))
        else:
            for row in csv.DictReader(file):
                yield {**row, "embedding": [float(value) for key, value in row.items() if key.isdecimal()]}
