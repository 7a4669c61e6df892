"""Save a shard's results in files of some images each: a killed worker loses only the file that it had begun."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handler.batch.rows import Embedded, Failed, Row
from handler.batch.store import Store

Result = Embedded | Failed
NOTE = "note.json"


class Note(NamedTuple):
    """Where a worker began, and how many workers ended while they embedded that one row alone."""

    start: int
    ended: int


class Parts:
    """The parts of one shard, below `prefix`. Each is named by the place of its first row.

    Two workers on one shard write the same parts. A part that cannot be read, or is of other rows or of other
    `settings`, those that change a vector, counts as missing.
    """

    def __init__(self, store: Store, prefix: str, settings: Mapping[str, Any]) -> None:
        self._store = store
        self._prefix = prefix
        self._settings = dict(settings)

    def load(self, rows: Sequence[Row]) -> list[Result]:
        """Return the results of the first rows, as far as parts have them without a gap."""
        results: list[Result] = []
        while len(results) < len(rows):
            try:
                data = self._store.read(self._name(len(results)))
            except FileNotFoundError:
                break
            try:
                results += _read(data, rows[len(results) :], self._settings)
            except Exception:  # noqa: BLE001 - on damaged archives numpy and zipfile raise nearly anything
                break
        return results

    def save(self, start: int, results: Sequence[Result]) -> None:
        """Write the results of the rows from `start` on."""
        self._store.write(self._name(start), _written(results, self._settings))

    def note(self) -> Note | None:
        """Return the note that a worker left; None where there is none, or it cannot be read."""
        try:
            start, ended = json.loads(self._store.read(f"{self._prefix}{NOTE}"))
            return Note(int(start), int(ended))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def take_note(self, note: Note) -> None:
        """Leave a note for the next worker, should this one be killed."""
        self._store.write(f"{self._prefix}{NOTE}", json.dumps(note).encode())

    def remove(self) -> None:
        """Remove the parts of a shard that is done."""
        self._store.clear(self._prefix)

    def _name(self, start: int) -> str:
        return f"{self._prefix}{start:08d}.npz"


def _written(results: Sequence[Result], settings: Mapping[str, Any]) -> bytes:
    facts = [
        [item.row.key, item.etag, item.size, item.modified, item.width, item.height]
        if isinstance(item, Embedded)
        else [item.row.key, item.code, item.message]
        for item in results
    ]
    vectors = [item.vector for item in results if isinstance(item, Embedded)]
    out = io.BytesIO()
    text, by = (np.frombuffer(json.dumps(one).encode(), np.uint8) for one in (facts, settings))
    np.savez(out, facts=text, settings=by, vectors=np.stack(vectors) if vectors else np.empty((0, 0), np.float32))
    return out.getvalue()


def _read(data: bytes, rows: Sequence[Row], settings: Mapping[str, Any]) -> list[Result]:
    with np.load(io.BytesIO(data)) as arrays:  # numbers alone: numpy refuses pickles unless it is told otherwise
        facts, vectors = json.loads(arrays["facts"].tobytes()), iter(arrays["vectors"])
        by = json.loads(arrays["settings"].tobytes())
    if by != settings:
        raise ValueError("a part of other settings")
    if not facts or [fact[0] for fact in facts] != [row.key for row in rows[: len(facts)]]:
        raise ValueError("a part of other rows")
    return [_result(row, fact, vectors) for row, fact in zip(rows, facts, strict=False)]


def _result(row: Row, fact: Sequence[Any], vectors: Iterator[NDArray[np.float32]]) -> Result:
    if len(fact) == 3:
        return Failed(row, fact[1], fact[2])
    _, etag, size, modified, width, height = fact
    return Embedded(row, etag, size, modified, width, height, next(vectors))
