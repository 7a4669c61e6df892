"""Write rows in each file format, batch by batch. After every batch the file is complete and valid."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

# name, and either scores (by label), or embedding (float32 [D]) with sha256 of the image's file, model, manifest_sha256
Row = dict[str, Any]


def to_json(value: Any) -> bytes:
    r"""Write JSON in UTF-8. A byte of a file name that is not UTF-8 is `\udcXX`, which os.fsencode turns back."""
    if isinstance(value, dict):
        return b"{" + b", ".join(to_json(key) + b": " + to_json(of) for key, of in value.items()) + b"}"
    if isinstance(value, np.ndarray):  # nine digits are what tells one float32 from the next
        return b"[" + ", ".join(map("{:.9g}".format, value.tolist())).encode() + b"]"
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")


class Format(Protocol):
    """How rows are written."""

    def foot(self, row: Row) -> bytes:
        """What stands after the last row; `row` is the first."""

    def head(self, row: Row, count: int) -> bytes:
        """What stands before the first row; its length does not depend on `count`."""

    def row(self, row: Row, place: int) -> bytes:
        """One row; `place` counts from 0."""


class Json:
    """A list of objects."""

    def foot(self, row: Row) -> bytes:
        """Close the list."""
        return b"\n]\n"

    def head(self, row: Row, count: int) -> bytes:
        """Open the list."""
        return b"["

    def row(self, row: Row, place: int) -> bytes:
        """Write an object on a line."""
        return (b",\n" if place else b"\n") + to_json(row)


class JsonLines:
    """An object on each line."""

    def foot(self, row: Row) -> bytes:
        """Nothing."""
        return b""

    def head(self, row: Row, count: int) -> bytes:
        """Nothing."""
        return b""

    def row(self, row: Row, place: int) -> bytes:
        """Write an object on a line."""
        return to_json(row) + b"\n"


class Csv:
    """A header, then a line for each row; quoted where a name has a comma, a quote or a line break."""

    def foot(self, row: Row) -> bytes:
        """Nothing."""
        return b""

    def head(self, row: Row, count: int) -> bytes:
        """Name the labels, or number the dimensions."""
        return _line(["name", *(row["scores"] if "scores" in row else [*FACTS, *range(len(row["embedding"]))])])

    def row(self, row: Row, place: int) -> bytes:
        """Write a line."""
        if "scores" in row:
            return _line([row["name"], *row["scores"].values()])
        return _line(
            [row["name"], *(row.get(fact) for fact in FACTS), *map("{:.9g}".format, row["embedding"].tolist())]
        )


class Npy:
    """float32 [rows, dimensions]."""

    def foot(self, row: Row) -> bytes:
        """Nothing."""
        return b""

    def head(self, row: Row, count: int) -> bytes:
        """Write numpy's header, which has room for a growing number of rows."""
        buffer = io.BytesIO()
        shape = (count, len(row["embedding"]))
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
        return buffer.getvalue()

    def row(self, row: Row, place: int) -> bytes:
        """Write a vector."""
        return np.asarray(row["embedding"], "<f4").tobytes()


class Names:
    """The names of an array's rows, as a JSON object that names the array and its model, too."""

    def __init__(self, array: str) -> None:
        self.start = b'{"array": ' + to_json(array) + b', "names": ['

    def foot(self, row: Row) -> bytes:
        """Close the list, and say what the vectors are of."""
        facts = [(fact, row[fact]) for fact in ("model", "manifest_sha256") if row.get(fact)]
        return b"\n]" + b"".join(b", " + to_json(fact) + b": " + to_json(value) for fact, value in facts) + b"}\n"

    def head(self, row: Row, count: int) -> bytes:
        """Open the object."""
        return self.start

    def row(self, row: Row, place: int) -> bytes:
        """Write a name on a line."""
        return (b",\n" if place else b"\n") + to_json(row["name"])


# Parquet has no rows until its end is written: it is made of the lines of JSON, once they are complete.
FORMATS: Mapping[str, type[Json | JsonLines | Csv | Npy]] = {
    ".json": Json, ".jsonl": JsonLines, ".npy": Npy, ".csv": Csv, ".parquet": JsonLines,
}  # fmt: skip
EMBEDDINGS = tuple(FORMATS)
SCORES = tuple(suffix for suffix in FORMATS if suffix != ".npy")
COLUMNS = (".csv", ".parquet")  # formats in which each label is a column beside that of the names
NAME = "name"
FACTS = ("sha256", "model", "manifest_sha256")  # the columns between an embedding's name and its numbers
PROBE_BYTES = 1 << 16


class Table:
    """A new file at `path`, open for rows. Every method raises OSError where the file system does."""

    def __init__(self, path: Path, form: Format) -> None:
        self.path, self._form = path, form
        self.count = 0
        self.end = 0  # where the foot begins
        self._first: Row = {}
        self._before = (0, 0)  # count and end, before the last rows
        self._file = path.open("xb", buffering=0)
        try:
            self._put(0, bytes(PROBE_BYTES))  # a full disk is told now
            os.fsync(self._file.fileno())
            self._file.truncate(0)
        except OSError:
            self.discard()
            raise

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows, at least one. Where that fails, the file is as complete as it was before."""
        first = self._first or rows[0]
        count = self.count + len(rows)
        body = b"".join(self._form.row(row, place) for place, row in enumerate(rows, self.count))
        head = self._form.head(first, count)
        start = self.end or len(head)
        try:
            self._put(start, body + self._form.foot(first))
            self._put(0, head)
        except BaseException:
            self._restore()
            raise
        self._before = (self.count, self.end)
        self._first, self.count, self.end = first, count, start + len(body)

    def undo(self) -> None:
        """Take back the last rows."""
        self.count, self.end = self._before
        self._restore()

    def close(self) -> None:
        """Write everything to the disk, and close the file."""
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _restore(self) -> None:
        """Write over what was there before: that needs no room on the disk."""
        if not self.count:
            self._file.truncate(0)
            return
        self._put(0, self._form.head(self._first, self.count))
        foot = self._form.foot(self._first)
        self._put(self.end, foot)
        self._file.truncate(self.end + len(foot))

    def _put(self, start: int, data: bytes) -> None:
        self._file.seek(start)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]


def _line(values: Sequence[Any]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(values)
    return buffer.getvalue().encode(errors="backslashreplace")
