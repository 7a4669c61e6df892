"""An index in LanceDB: a directory, or a place in S3 (`s3://bucket/prefix`).

The index is one table of the database, and the table `current` says which. So a rebuild writes another table and
switches: a reader has either the old one or the new one, whole.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from handler.errors import ApiError
from handler.search import lance_table as table
from handler.search import lance_tuning as tuning
from handler.search.index import check_same, not_found
from handler.search.records import About, Gone, Hit, Item, Vector, Where, identity, newest

CURRENT = "current"
FIRST = "items-first"
FRESH_SECONDS = 5.0  # for which a reader of S3 believes what it read; of a directory it looks each time
ATTEMPTS = 8  # of a write that collides with others, beside LanceDB's own
COLUMNS = ("bucket", "key", *table.METADATA)
# Of two records of a key: the later look, then the deletion, then the etag, as records.order has it.
NEWER = (
    "source.seen_at > target.seen_at OR (source.seen_at = target.seen_at AND ("
    "(source.gone AND NOT target.gone) OR (source.gone = target.gone AND source.etag > target.etag)))"
)
T = TypeVar("T")


class LanceIndex:
    """The index at one place. Opens when it is first used. Any number of threads may use it."""

    def __init__(self, place: str) -> None:
        self.place = place if "://" in place else str(Path(place).absolute())
        self._fresh = FRESH_SECONDS if "://" in place else 0.0
        self._lock = threading.Lock()
        self._opened: tuple[float, str, Any] | None = None
        self._database: Any = None

    def prepare(self, about: About) -> None:
        """Make the index where there is none yet. Raises ApiError index_of_another_model, index_unavailable."""
        try:
            theirs = self.about()
        except ApiError as error:
            if error.code != "index_not_found":
                raise
            self._guard(lambda: self._make(about))
            theirs = self.about()
        check_same(theirs, about, self.place)

    def put(self, items: Sequence[Item]) -> None:
        """Add or replace. An older look never replaces a newer one. Raises ApiError."""
        self._write(items)

    def delete(self, gone: Sequence[Gone]) -> None:
        """Remove, and remember when. Raises ApiError."""
        self._write(gone)

    def query(self, vector: Vector, k: int, where: Where | None = None, with_vectors: bool = False) -> list[Hit]:
        """Return the `k` nearest by cosine, best first. Raises ApiError index_not_found or index_unavailable."""
        condition = table.expression(where) if where else None
        columns = [*COLUMNS, "_distance", *(["vector"] if with_vectors else [])]

        def ask() -> Any:
            query = self._table().search(np.asarray(vector, np.float32), vector_column_name="vector")
            query = tuning.query(query.distance_type("cosine").limit(k), k)
            return (query.where(condition) if condition is not None else query).select(columns).to_arrow()

        return table.hits(self._guard(ask), with_vectors)

    def count(self) -> int:
        """Return how many can be found."""
        return int(self._guard(lambda: self._table().count_rows("gone = false")))

    def about(self) -> About:
        """Say what the vectors are of. Raises ApiError index_not_found, index_unavailable."""
        return self._guard(lambda: table.read_about(self._table().schema))

    def has(self, bucket: str, key: str) -> bool:
        """Tell whether a key can be found."""
        from lancedb.expr import col, lit

        wanted = (col("id") == lit(identity(bucket, key))) & (col("gone") == lit(False))
        return bool(self._guard(lambda: self._table().search().where(wanted).limit(1).select(["id"]).to_list()))

    def switch(self, name: str) -> None:
        """Make another table of the database the index. Raises ApiError index_unavailable."""
        import pyarrow as pa

        self._guard(lambda: self.database().create_table(CURRENT, pa.table({"table": [name]}), mode="overwrite"))
        self._opened = None

    def current(self) -> str | None:
        """Name the table that is the index; None where there is none."""
        return self._guard(self._current)

    def database(self) -> Any:
        """Return LanceDB's connection."""
        if self._database is None:
            import lancedb  # late: a second of import, and 350 MB

            self._database = lancedb.connect(self.place, read_consistency_interval=timedelta(seconds=self._fresh))
        return self._database

    def _write(self, records: Sequence[Item | Gone]) -> None:
        if not records:
            return
        about = self.about()
        data = table.rows(newest(list(records)), about)

        def merge() -> Any:
            merging = self._table().merge_insert("id").when_matched_update_all(where=NEWER)
            merging = merging.when_not_matched_insert_all()
            return merging.execute(data, on_bad_vectors="null")  # a key that is gone has none

        done = self._guard(lambda: _repeated(merge))
        tuning.maintain(self._table(), int(done.version))

    def _table(self) -> Any:
        with self._lock:
            now = time.monotonic()
            if self._opened and now - self._opened[0] < self._fresh:
                return self._opened[2]
            name = self._current()
            if name is None:
                raise not_found(self.place)
            known = self._opened
            opened = known[2] if known and known[1] == name else self.database().open_table(name)
            self._opened = (now, name, opened)
            return opened

    def _current(self) -> str | None:
        try:
            pointer = self.database().open_table(CURRENT)
        except ValueError as error:  # LanceDB's "Table 'current' was not found"
            if "not found" not in str(error):
                raise
            return None
        return str(pointer.to_arrow()["table"][0])

    def _make(self, about: About) -> None:
        # Of two that make it at once, both make the same: an empty table under one name.
        import pyarrow as pa

        database = self.database()
        database.create_table(FIRST, schema=table.schema(about), exist_ok=True)
        database.create_table(CURRENT, pa.table({"table": [FIRST]}), exist_ok=True)

    def _guard(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except ApiError:
            raise
        except Exception as error:
            reason = str(error).partition(", /")[0][:300]  # what follows is a place in LanceDB's own source
            raise ApiError(
                "index_unavailable", f"the index at {self.place} does not answer: {type(error).__name__}: {reason}"
            ) from error


def _repeated(action: Callable[[], T]) -> T:
    """Write again where others wrote meanwhile, after a random wait that grows."""
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except Exception as error:
            if attempt == ATTEMPTS - 1 or not any(word in str(error).lower() for word in ("conflict", "concurrent")):
                raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - spreads writers, hides nothing
    raise AssertionError
