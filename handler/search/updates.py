"""New files of a batch brought into the index, in any order and any number of times."""

import io
from collections.abc import Iterable
from typing import Protocol

from handler.search.index import Index
from handler.search.names import FORMS, is_ours
from handler.search.source import ParquetSource, SourceError, deletions


class Readable(Protocol):
    """Named bytes, as handler.batch.store has them."""

    def read(self, name: str) -> bytes:
        """Return what is there. Raises FileNotFoundError."""


def apply(store: Readable, names: Iterable[str], index: Index) -> dict[str, int]:
    """Put what Parquet files hold, and delete what lists of deletions name; returns how many of both were read.

    The latest look of a key counts, so a file may come again, late, or before an older one. Where there is no index
    yet, the first file of vectors makes it; deletions wait for it. Raises ApiError index_of_another_model,
    index_not_found or index_unavailable, SourceError for a file that no batch wrote, FileNotFoundError.
    """
    counts = {"put": 0, "deleted": 0}
    for name in sorted(names, key=lambda name: not name.endswith(".parquet")):
        if not is_ours(name):
            raise SourceError(f"{name} is neither {FORMS}: no batch writes it, and a rebuild leaves it out")
        data = store.read(name)
        if name.endswith(".parquet"):
            counts["put"] += _put(name, data, index)
        else:
            gone = deletions(name, data)
            index.delete(gone)
            counts["deleted"] += len(gone)
    return counts


def _put(name: str, data: bytes, index: Index) -> int:
    file = ParquetSource(name, io.BytesIO(data))
    about = file.about()
    index.prepare(about)
    count = 0
    for items in file.items():
        index.put(items, about)
        count += len(items)
    return count
