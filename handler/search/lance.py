"""An index in LanceDB: a directory, or a place in S3 (`s3://bucket/prefix`).

The index is one table of the database, and the file `current.json` says which. So a rebuild writes another table and
switches: a reader has either the old one or the new one, whole. LanceDB itself has nothing that only one of two can
make, and a table that is made twice loses what was written between.
"""

import functools
import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from handler.batch.reader import make_client
from handler.batch.store import Bucket, Directory, Store
from handler.errors import ApiError
from handler.search import lance_table as layout
from handler.search import lance_tuning as tuning
from handler.search.index import check_same, not_found
from handler.search.records import About, Gone, Hit, Item, Vector, Where, identity, newest

CURRENT = "current.json"
PREFIX = "items-"
STAMP = "%Y%m%dT%H%M%S"
S3 = "s3://"
FRESH_SECONDS = 5.0  # for which a reader of S3 believes what it read; of a directory it looks each time
ATTEMPTS = 8  # of a write that collides with others, beside LanceDB's own
COLUMNS = ("bucket", "key", *layout.METADATA)
# Of two records of a key: the later look, then the deletion, then the etag, as records.order has it.
NEWER = (
    "source.seen_at > target.seen_at OR (source.seen_at = target.seen_at AND ("
    "(source.gone AND NOT target.gone) OR (source.gone = target.gone AND source.etag > target.etag)))"
)
T = TypeVar("T")


class LanceIndex:
    """The index at one place. Opens when it is first used. Any number of threads may use it."""

    def __init__(self, place: str, pinned: str | None = None) -> None:
        """`pinned` is a table of the database that is not the index yet."""
        self._remote = place.startswith(S3)
        self.place = place.rstrip("/") if self._remote else str(Path(place).absolute())
        self._file = (
            "/".join(filter(None, (self.place[len(S3) :].partition("/")[2], CURRENT))) if self._remote else CURRENT
        )
        self._pinned = pinned
        self._fresh = FRESH_SECONDS if self._remote else 0.0
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
            self.guard(lambda: self._make(about))
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
        condition = layout.expression(where) if where else None
        columns = [*COLUMNS, "_distance", *(["vector"] if with_vectors else [])]

        def ask() -> Any:
            asked = self._table()
            query = asked.search(np.asarray(vector, np.float32), vector_column_name="vector")
            query = tuning.reach(query.distance_type("cosine").limit(k), asked.count_rows(), condition is not None)
            return (query.where(condition) if condition is not None else query).select(columns).to_arrow()

        return layout.hits(self.guard(ask), with_vectors)

    def count(self) -> int:
        """Return how many can be found."""
        return int(self.guard(lambda: self._table().count_rows("gone = false")))

    def about(self) -> About:
        """Say what the vectors are of. Raises ApiError index_not_found, index_unavailable."""
        return self.guard(lambda: layout.read_about(self._table().schema))

    def has(self, bucket: str, key: str) -> bool:
        """Tell whether a key can be found."""
        from lancedb.expr import col, lit

        wanted = (col("id") == lit(identity(bucket, key))) & (col("gone") == lit(False))
        return bool(self.guard(lambda: self._table().search().where(wanted).limit(1).select(["id"]).to_list()))

    def switch(self, name: str) -> str | None:
        """Make another table of the database the index; returns the one before the last, which nobody reads now.

        Raises ApiError index_unavailable.
        """

        def write() -> str | None:
            last, older = self._pointer() or (None, None)
            self._store.write(self._file, _pointing(name, last))
            return older

        older = self.guard(write)
        self._opened = None
        return older

    def tables(self) -> set[str | None]:
        """Name the table that is the index, and the one before it."""
        return set(self.guard(self._pointer) or ())

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

    def _write(self, records: Sequence[Item | Gone]) -> None:
        if not records:
            return
        data = layout.rows(newest(list(records)), self.about())

        def merge() -> tuple[Any, int]:
            into = self._table()
            merging = into.merge_insert("id").when_matched_update_all(where=NEWER).when_not_matched_insert_all()
            done = merging.execute(data, on_bad_vectors="null")  # a key that is gone has none
            return into, int(done.version)

        while True:
            into, version = self.guard(lambda: _repeated(merge))
            self._opened = None
            if self.guard(self._table).name == into.name:
                break  # else a rebuild switched meanwhile, and may not have seen this
        tuning.maintain(into, version)

    def _table(self) -> Any:
        with self._lock:
            now = time.monotonic()
            if self._opened and now - self._opened[0] < self._fresh:
                return self._opened[2]
            name = self._pinned or (self._pointer() or (None, None))[0]
            if name is None:
                raise not_found(self.place)
            known = self._opened
            opened = known[2] if known and known[1] == name else self.database().open_table(name)
            self._opened = (now, name, opened)
            return opened

    def _pointer(self) -> tuple[str, str | None] | None:
        """Return the table that is the index, and the one before it; None where there is no index."""
        try:
            pointer = json.loads(self._store.read(self._file))
        except FileNotFoundError:
            return None
        return pointer["table"], pointer["before"]

    def _make(self, about: About) -> None:
        name = new_name()
        self.database().create_table(name, schema=layout.schema(about))
        if not self._store.write_once(self._file, _pointing(name, None)):
            self.database().drop_table(name)  # another one made the index just now

    @functools.cached_property
    def _store(self) -> Store:
        return (
            Bucket(make_client(), self.place[len(S3) :].partition("/")[0])
            if self._remote
            else Directory(Path(self.place))
        )


def new_name() -> str:
    """Name a table that nobody else makes; it tells when."""
    return f"{PREFIX}{datetime.now(UTC).strftime(STAMP)}-{secrets.token_hex(4)}"


def _pointing(table: str, before: str | None) -> bytes:
    return json.dumps({"table": table, "before": before}).encode()


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
