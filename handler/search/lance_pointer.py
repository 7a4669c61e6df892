"""The file `current.json` beside the tables of a LanceDB database: it says which table is the index.

A file, because LanceDB itself has nothing that only one of two writers can make: a table that is made twice loses what
was written between.
"""

import functools
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from handler.batch.reader import make_client
from handler.batch.store import Bucket, Directory, Store
from handler.errors import ApiError
from handler.search.index import rebuild_command

CURRENT, COMING = "current.json", "coming.json"
PREFIX, STAMP = "items-", "%Y%m%dT%H%M%S"
S3 = "s3://"


class Tables(NamedTuple):
    """The table that is the index, and the one before it, which a reader may still have open."""

    table: str
    before: str | None


class Pointer:
    """The file of one database, a directory or `s3://bucket/prefix`."""

    def __init__(self, place: str) -> None:
        self._place = place
        prefix = place[len(S3) :].partition("/")[2] if place.startswith(S3) else ""
        self._name, self._coming = (f"{prefix}/{name}" if prefix else name for name in (CURRENT, COMING))

    def read(self) -> Tables | None:
        """Return the table that is the index, and the one before; None if no index was made yet. Raises ApiError."""
        found = self._found(self._name, "table", "before")
        return Tables(*found) if found else None

    def write(self, tables: Tables) -> None:
        """Make another table the index, in one step."""
        self._store.write(self._name, _bytes(tables))

    def write_first(self, table: str) -> bool:
        """Make a table the first index; False if there is an index already, which stays."""
        return self._store.write_once(self._name, _bytes(Tables(table, None)))

    def announce(self, table: str) -> None:
        """Announce the table that a rebuild will switch to, so that updates are also written to it."""
        self._store.write(self._coming, json.dumps({"table": table}).encode())

    def coming(self) -> str | None:
        """Return the table that was announced; None where none is. A rebuild that was killed leaves its own.

        Raises ApiError.
        """
        found = self._found(self._coming, "table")
        return str(found[0]) if found else None

    def withdraw(self, table: str) -> None:
        """Remove the announcement of this table; that of another rebuild stays."""
        if self.coming() == table:
            self._store.remove(self._coming)

    def _found(self, name: str, *fields: str) -> list[Any] | None:
        """Return a file's fields; None where it is not there. Raises ApiError index_unavailable for a damaged one."""
        try:
            known = json.loads(self._store.read(name))
            return [known[field] for field in fields]
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            which, again = name.rpartition("/")[2], rebuild_command(self._place)
            raise ApiError(
                "index_unavailable",
                f"{which} of the index at {self._place} is damaged: restore it, or remove it and build the index "
                f"again: `{again}`",
            ) from error

    @functools.cached_property
    def _store(self) -> Store:
        if self._place.startswith(S3):
            return Bucket(make_client(), self._place[len(S3) :].partition("/")[0])
        return Directory(Path(self._place))


def new_name() -> str:
    """Name a table that nobody else makes; it tells when."""
    return f"{PREFIX}{datetime.now(UTC).strftime(STAMP)}-{secrets.token_hex(4)}"


def older_than(name: str, age: timedelta) -> bool:
    """Tell whether a table was made longer ago; False for one that `new_name` did not name."""
    try:
        made = datetime.strptime(name.removeprefix(PREFIX).partition("-")[0], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return name.startswith(PREFIX) and datetime.now(UTC) - made > age


def _bytes(tables: Tables) -> bytes:
    return json.dumps(tables._asdict()).encode()
