"""When a table is indexed, and how much of the index a query looks at: speed against recall.

Measured by `python -m benchmarks.search` (docs/collections.md). IVF with vectors of 8 bits a number: built in a
twentieth of the time of product quantization, and exact enough that two candidates a hit are plenty. Among thousands of
images that are nearly the same it is not: few hits have more, so that the first of one is the first of ten.
"""

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from handler.search.index import rebuild_command

log = logging.getLogger(__name__)

FLAT_ROWS = 10_000  # below, every vector is compared, which is exact: 28 ms of one core at 512 dimensions
PARTITION_ROWS = 2_000
PARTITIONS = 4_096  # at most
SCANNED_ROWS = 200_000  # rows' short vectors that a query looks at, however many there are: 15 ms of one core
CANDIDATES = 2  # for each hit, compared again with their whole vectors: each is a read, from S3 a request
LEAST_CANDIDATES = 20  # of a query, however few hits: what the default of ten has
EVERY = 16  # writes after which somebody looks whether the table needs care
FRAGMENTS = 64  # files of rows, above which they are put together: LanceDB writes all up to a million rows anew
SEGMENTS = 8  # of an index, at which it is made anew
MOST_ROWS = 1_000_000  # of which an index is made anew between two writes: 8 s for 100,000 of 512 dimensions
EMPTY_PART = ("/ivf_", "KMeans cannot train")  # a part's file that was never written; a part without vectors to split
CACHE_SHARE = 0.25  # of a function's memory: LanceDB's own limit is 6 GB
KEPT = timedelta(hours=1)  # for which a reader may go on with what was replaced


def create_index(table: Any) -> bool:
    """Index a table, or index it anew, if it is large enough to need it; returns whether it is."""
    rows = table.count_rows("gone = false")  # a key that is gone has no vector to learn from
    if rows < FLAT_ROWS:
        return False
    from lancedb.index import IvfSq

    table.create_index("vector", config=IvfSq(distance_type="cosine", num_partitions=partitions(rows)))
    return True


def reach(asked: Any, rows: int, k: int, filtered: bool) -> Any:
    """Say how far a query of `k` hits looks in a table of `rows`; with a filter in all of it: its hits lie anywhere."""
    share = 1.0 if filtered else min(1.0, SCANNED_ROWS / max(rows, 1))
    candidates = max(CANDIDATES, -(-LEAST_CANDIDATES // k))
    return asked.nprobes(max(1, round(share * partitions(rows)))).refine_factor(candidates)


def partitions(rows: int) -> int:
    """Return into how many parts an index of so many rows is divided."""
    return min(PARTITIONS, max(1, rows // PARTITION_ROWS))


def caches(environ: Mapping[str, str] = os.environ) -> dict[str, int]:
    """Return how many bytes LanceDB may keep in memory; nothing outside of Lambda, where it decides."""
    memory = int(environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 0)) * 1_000_000
    if not memory:
        return {}
    return {
        "index_cache_size_bytes": int(CACHE_SHARE * memory),
        "metadata_cache_size_bytes": int(CACHE_SHARE / 4 * memory),
    }


def maintain(table: Any, version: int, place: str) -> None:
    """Every few writes, put small files together and bring new rows into the index, or make the first one.

    Where this collides with another writer, it is for the next time. `place` is the index, for what is logged.
    """
    if version % EVERY:
        return
    try:
        if not table.list_indices():
            create_index(table)
        if table.stats()["fragment_stats"]["num_fragments"] > FRAGMENTS or _unindexed(table) > FLAT_ROWS:
            _optimize(table, place)
    except Exception as error:  # noqa: BLE001 - what was written is written
        reason = str(error).partition(", /")[0][:200]  # what follows is a place in LanceDB's own source
        log.warning("the index was not optimized this time: %s: %s", type(error).__name__, reason)


def _optimize(table: Any, place: str) -> None:
    """Put files together, with an index made anew where LanceDB 0.40 cannot go on with the one that there is.

    It fails, each time, once all vectors of a part of the index are gone. And it adds a segment to the index each time:
    a query reads all of them, and files of two segments are never put together. A large index is not made anew between
    two writes, for which a function may lack the time: a rebuild does it.
    """
    segments = max((one.num_segments or 0 for one in table.list_indices()), default=0)
    small = table.count_rows() <= MOST_ROWS
    if segments >= SEGMENTS and not small:
        _tell(place, f"has {segments} segments, all of which a query reads")
    if segments < SEGMENTS or not small:
        try:
            table.optimize(cleanup_older_than=KEPT)
            return
        except RuntimeError as error:
            if not any(words in str(error) for words in EMPTY_PART):
                raise
            if not small:
                _tell(place, "has a part without vectors, with which LanceDB cannot go on")
                return
    if not create_index(table):
        for one in table.list_indices():
            table.drop_index(one.name)
    table.optimize(cleanup_older_than=KEPT)


def _tell(place: str, why: str) -> None:
    again = rebuild_command(place)
    log.warning("the index at %s %s, so searches take longer and longer: build it again, by `%s`", place, why, again)


def _unindexed(table: Any) -> int:
    """Return the rows that a query compares one by one, since they came after the index."""
    return max((table.index_stats(one.name).num_unindexed_rows for one in table.list_indices()), default=0)
