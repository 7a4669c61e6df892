"""Many small files of arrivals become few large ones, while others read and write them.

A reader takes the latest record of each key, be it a vector or a deletion; of vectors of several settings it may take
those of one alone. So a copy of a record changes nothing, and neither does the removal of one that lies in another file
as well, of a vector before a deletion or a vector of the same settings, or of a deletion before another. All steps are
of these kinds, in this order, and a process may be killed between any two:

1. the latest records of some small files are written to new files, which are read back;
2. a record is written that names both: `compactions/model=<hash>/<name>.json`;
3. GRACE later, when whoever had listed the small files has read them, a run removes them, and then the record.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from handler.batch import parquet
from handler.batch.reader import AT_ONCE
from handler.batch.rows import Embedded, deletion_lines, json_lines, read_deletions
from handler.batch.store import Entry, Store

MINUTE = 60_000  # milliseconds
MARGIN = 10 * MINUTE  # after which a file is old enough
GRACE = 60 * MINUTE  # how long a reader may take from its list of names to the last of them
LEAST = 8  # files that are worth it
MOST_BYTES = 64_000_000  # of files that become one: their vectors are held in memory
MOST_FILES = 1000
LARGE = MOST_BYTES // 2  # bytes of a file that stays as it is
ARRIVALS = "run=arrivals"

Key = tuple[str, str]


class Found(NamedTuple):
    """What some files say: the latest vector of each key by what it is of, and the latest deletion of each key."""

    vectors: dict[tuple[str, int], dict[Key, Embedded]]  # what it is of: the metadata, and the number of dimensions
    deletions: dict[Key, int]
    read: list[str]
    unread: list[str]


def run(store: Store, model: str, at: int, enough: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Compact the arrivals of one model, the first 12 digits of its vectors_sha256; returns what was done.

    `at` is the time in milliseconds since 1970. `enough` is asked between two steps whether to stop. Any number may
    run at once.
    """
    removed, pending, unread = _remove(store, model, at)
    compacted, written = 0, 0
    while not enough():
        names = list(_small(store, model, at, pending | unread))
        if len(names) < LEAST:
            break
        found = _read(store, names)
        unread |= set(found.unread)
        if len(found.read) > 1:
            outputs = _write(store, model, found)
            compacted, written = compacted + len(found.read), written + len(outputs)
            pending |= {*found.read, *outputs}
        elif not found.unread:
            break
    return {"compacted": compacted, "written": written, "removed": removed, "unread": sorted(unread)}


def _remove(store: Store, model: str, at: int) -> tuple[int, set[str], set[str]]:
    """Remove what was compacted GRACE ago; returns how many files, the names that wait for it, and damaged records.

    What a damaged record named is compacted once more, with its copies, and removed by the record of that.
    """
    removed, pending, damaged = 0, set[str](), set[str]()
    for entry in list(store.list(f"compactions/model={model}/")):
        try:
            sources, written = _record(store.read(entry.name))
        except FileNotFoundError:
            continue  # another run was faster
        except ValueError:
            damaged.add(entry.name)
            continue
        if entry.modified > at - GRACE:
            pending |= {*sources, *written}
            continue
        if all(store.exists(name) for name in written):
            for name in sources:
                store.remove(name)
            removed += len(sources)
        store.remove(entry.name)
    return removed, pending, damaged


def _record(data: bytes) -> tuple[list[str], list[str]]:
    """Read which files were compacted into which. Raises ValueError."""
    try:
        record = json.loads(data)
        sources, written = record["sources"], record["written"]
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError("not the record of a compaction") from error
    if not (isinstance(sources, list) and isinstance(written, list)):
        raise ValueError("not lists of names")
    return [str(name) for name in sources], [str(name) for name in written]


def _small(store: Store, model: str, at: int, without: set[str]) -> Iterator[str]:
    """Yield the names of old and small files, up to MOST_FILES and MOST_BYTES in all.

    The smallest first: a few larger ones would fill a file, and small ones would wait behind them for ever.
    """
    kinds = [store.list(f"{kind}/model={model}/{ARRIVALS}/") for kind in ("vectors", "deletions")]
    entries: list[Entry] = [entry for kind in kinds for entry in kind if entry.name not in without]
    old = [entry for entry in entries if entry.modified <= at - MARGIN and entry.size < LARGE]
    total = 0
    for entry in sorted(old, key=lambda entry: (entry.size, entry.name))[:MOST_FILES]:
        total += entry.size
        if total > MOST_BYTES:
            return
        yield entry.name


def _read(store: Store, names: Sequence[str]) -> Found:
    found = Found({}, {}, [], [])
    for name, data in zip(names, _contents(store, names), strict=True):
        if data is None:
            continue  # another run removed it, since its records lie elsewhere
        try:
            if name.startswith("vectors/"):
                _add_vectors(found.vectors, *parquet.read(data))
            else:
                _add_deletions(found.deletions, data)
        except ValueError:
            found.unread.append(name)  # not of our making: left as it is
        else:
            found.read.append(name)
    return found


def _contents(store: Store, names: Sequence[str]) -> list[bytes | None]:
    def read(name: str) -> bytes | None:
        try:
            return store.read(name)
        except FileNotFoundError:
            return None

    with ThreadPoolExecutor(AT_ONCE, "openclip-compaction") as pool:
        return list(pool.map(read, names))


def _add_vectors(
    vectors: dict[tuple[str, int], dict[Key, Embedded]], rows: list[Embedded], about: dict[str, Any]
) -> None:
    of = json.dumps(about, sort_keys=True)
    for item in rows:
        key = item.row.bucket, item.row.key
        latest = vectors.setdefault((of, len(item.vector)), {})
        if key not in latest or _order(item) > _order(latest[key]):
            latest[key] = item


def _order(item: Embedded) -> tuple[Any, ...]:
    return item.row.seen_at, item.modified, item.etag


def _add_deletions(deletions: dict[Key, int], data: bytes) -> None:
    for bucket, key, seen in read_deletions(data):
        deletions[bucket, key] = max(seen, deletions.get((bucket, key), 0))


def _write(store: Store, model: str, found: Found) -> list[str]:
    """Write the latest records, read them back, and then the record of it; returns the names of the new files."""
    sources = sorted(found.read)
    base = "compacted-" + hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:20]
    outputs: dict[str, bytes] = {}
    kept = [(of, _kept(rows.values(), found.deletions)) for of, rows in sorted(found.vectors.items())]
    for number, ((about, dimensions), items) in enumerate((of, items) for of, items in kept if items):
        name = f"vectors/model={model}/{ARRIVALS}/{base}-{number}.parquet"
        outputs[name] = parquet.write(items, dimensions, json.loads(about))
    # Also of a key that has a later vector: whoever reads the vectors of other settings alone does not see that one.
    if found.deletions:
        lines = deletion_lines((*key, at) for key, at in sorted(found.deletions.items()))
        outputs[f"deletions/model={model}/{ARRIVALS}/{base}.jsonl"] = lines
    for name, data in outputs.items():
        store.write(name, data)
        if store.read(name) != data:
            raise OSError(f"{name} reads other than it was written: nothing is removed for it")
    record = {"sources": [name for name in sources if name not in outputs], "written": sorted(outputs)}
    store.write(f"compactions/model={model}/{base}.json", json_lines([record]))
    return list(outputs)


def _kept(rows: Iterable[Embedded], deletions: dict[Key, int]) -> list[Embedded]:
    kept = [item for item in rows if item.row.seen_at > deletions.get((item.row.bucket, item.row.key), -1)]
    return sorted(kept, key=lambda item: (item.row.bucket, item.row.key))
