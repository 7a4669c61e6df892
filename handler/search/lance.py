"""An index in LanceDB: a directory, or a place in S3 (`s3://bucket/prefix`).

The index is one table of the database, and a pointer says which. So a rebuild writes another table and switches: a
reader has either the old one or the new one, whole.
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
from handler.search import lance_table as layout
from handler.search import lance_tuning as tuning
from handler.search.index import MAX_K, check_same, not_found
from handler.search.lance_pointer import S3, Pointer, Tables, new_name
from handler.search.records import About, Gone, Hit, Item, Vector, Where, identity, newest

FRESH_SECONDS = 5.0  # for which a reader of S3 believes what it read; of a directory it looks each time
ATTEMPTS = 8  # of a write that collides with others, beside LanceDB's own
SWITCHES = 5  # of the index that one operation may meet
COLUMNS = ("bucket", "key", *layout.METADATA)
# Of two records of a key: the later look, then the deletion, then the etag, as records.order has it.
NEWER = (
    "source.seen_at > target.seen_at OR (source.seen_at = target.seen_at AND ("
    "(source.gone AND NOT target.gone) OR (source.gone = target.gone AND source.etag > target.etag)))"
)
T = TypeVar("T")


class LanceIndex:
    """The index at one place. Opens when it is first used. Any number of threads may use it."""

    max_k = MAX_K
    filters: tuple[str, ...] = Where._fields

    def __init__(self, place: str, pinned: str | None = None) -> None:
        """`pinned` is a table of the database that is not the index yet."""
        remote = place.startswith(S3)
        self.place = place.rstrip("/") if remote else str(Path(place).absolute())
        self.pointer = Pointer(self.place)
        self._pinned = pinned
        self._fresh = FRESH_SECONDS if remote else 0.0
        self._lock = threading.Lock()
        self._opened: tuple[float, Any] | None = None
        self._database: Any = None

    def prepare(self, about: About) -> None:
        """Make the index where there is none yet. Raises ApiError index_of_another_model, index_unavailable."""
        try:
            theirs = self.about()
        except ApiError as error:
            if error.code != "index_not_found":
                raise
            self.guard(lambda: self._make(about))
            theirs = self.about()
        check_same(theirs, about, self.place)

    def put(self, items: Sequence[Item], about: About) -> None:
        """Add or replace. An older look never replaces a newer one. Raises ApiError."""
        self._write(items, about)

    def delete(self, gone: Sequence[Gone]) -> None:
        """Remove, and remember when. Raises ApiError."""
        self._write(gone, None)

    def query(
        self, vector: Vector, about: About, k: int, where: Where | None = None, with_vectors: bool = False
    ) -> list[Hit]:
        """Return the `k` nearest by cosine, best first. Raises ApiError, also for a vector of another model."""
        condition = layout.expression(where) if where else None
        columns = [*COLUMNS, "_distance", *(["vector"] if with_vectors else [])]

        def ask(table: Any) -> Any:
            check_same(layout.read_about(table.schema), about, self.place, "what is looked for is of")
            query = table.search(np.asarray(vector, np.float32), vector_column_name="vector")
            query = tuning.reach(query.distance_type("cosine").limit(k), table.count_rows(), k, condition is not None)
            return (query.where(condition) if condition is not None else query).select(columns).to_arrow()

        return layout.hits(self._run(ask), with_vectors)

    def count(self) -> int:
        """Return how many can be found."""
        return int(self._run(lambda table: table.count_rows("gone = false")))

    def counts(self) -> tuple[int, int]:
        """Return how many can be found, and how many are gone."""
        return self._run(lambda table: (table.count_rows("gone = false"), table.count_rows("gone = true")))

    def about(self) -> About:
        """Say what the vectors are of. Raises ApiError index_not_found, index_unavailable."""
        return self._run(lambda table: layout.read_about(table.schema))

    def has(self, bucket: str, key: str) -> bool:
        """Tell whether a key can be found."""
        from lancedb.expr import col, lit

        wanted = (col("id") == lit(identity(bucket, key))) & (col("gone") == lit(False))
        return bool(self._run(lambda table: table.search().where(wanted).limit(1).select(["id"]).to_list()))

    def switch(self, name: str) -> str | None:
        """Make another table of the database the index; returns the one before the last, which nobody reads now.

        Raises ApiError index_unavailable.
        """
        last = self.guard(self.pointer.read)
        self.guard(lambda: self.pointer.write(Tables(name, last.table if last else None)))
        self._opened = None
        return last.before if last else None

    def table(self) -> Any:
        """Return LanceDB's table. Raises ApiError index_not_found."""
        return self.guard(self._table)

    def database(self) -> Any:
        """Return LanceDB's connection."""
        if self._database is None:
            import lancedb  # late: a second of import, and 350 MB

            fresh, limits = timedelta(seconds=self._fresh), tuning.caches()
            session = lancedb.Session(**limits) if limits else None
            self._database = lancedb.connect(self.place, read_consistency_interval=fresh, session=session)
        return self._database

    def guard(self, action: Callable[[], T]) -> T:
        """Run what LanceDB does, and tell its failure as ApiError index_unavailable."""
        try:
            return action()
        except ApiError:
            raise
        except Exception as error:
            reason = str(error).partition(", /")[0][:300]  # what follows is a place in LanceDB's own source
            raise ApiError(
                "index_unavailable", f"the index at {self.place} does not answer: {type(error).__name__}: {reason}"
            ) from error

    def _run(self, action: Callable[[Any], T]) -> T:
        """Run what needs the table, and again where a rebuild switched to another one and dropped it meanwhile."""
        for _ in range(SWITCHES):
            table = self.guard(self._table)
            try:
                return self.guard(lambda: action(table))  # noqa: B023 - called at once
            except ApiError:
                self._opened = None
                if self.guard(self._table).name == table.name:
                    raise
        raise ApiError("index_unavailable", f"the index at {self.place} is rebuilt all the time: try again")

    def _write(self, records: Sequence[Item | Gone], about: About | None) -> None:
        """Write what was made by `about`; deletions are of no model. Raises ApiError index_of_another_model."""
        if not records:
            return

        def merge(into: Any) -> tuple[Any, int]:
            theirs = layout.read_about(into.schema)
            if about:
                check_same(theirs, about, self.place, "what is written is of")
            data = layout.rows(newest(list(records)), theirs)
            merging = into.merge_insert("id").when_matched_update_all(where=NEWER).when_not_matched_insert_all()
            done = _repeated(lambda: merging.execute(data, on_bad_vectors="null"))  # a key that is gone has none
            return into, int(done.version)

        while True:
            into, version = self._run(merge)
            self._opened = None
            if self.table().name == into.name:
                break  # else a rebuild switched meanwhile, and may not have seen this
        coming = self.guard(self.pointer.coming)  # which may have listed its files before this one was there
        if coming and coming != into.name:
            self._write_to_coming(coming, records, about)
        tuning.maintain(into, version, self.place)

    def _write_to_coming(self, name: str, records: Sequence[Item | Gone], about: About | None) -> None:
        """Write to the table of a rebuild, unless that is of another model, or was dropped."""
        try:
            LanceIndex(self.place, name)._write(records, about)
        except ApiError as error:
            if error.code == "index_of_another_model":
                return
            if name in self.guard(lambda: self.database().list_tables().tables):
                raise  # the rebuild may be killed behind its switch: the caller has to try again

    def _table(self) -> Any:
        with self._lock:
            now = time.monotonic()
            if self._opened and now - self._opened[0] < self._fresh:
                return self._opened[1]
            current = None if self._pinned else self.pointer.read()
            name = self._pinned or (current.table if current else None)
            if name is None:
                raise not_found(self.place)
            known = self._opened[1] if self._opened else None
            opened = known if known is not None and known.name == name else self.database().open_table(name)
            self._opened = (now, opened)
            return opened

    def _make(self, about: About) -> None:
        name = new_name()
        self.database().create_table(name, schema=layout.schema(about))
        # It says no, too, where it was asked twice because the first answer was lost.
        if not self.pointer.write_first(name) and name not in (self.pointer.read() or ()):
            self.database().drop_table(name)  # another one made the index just now


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
