"""Writers of an index: in any order, several at once, and very many. What must come out is worked out one by one."""

import multiprocessing
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.batch.store import Directory
from handler.search import lance_tuning
from handler.search.lance import LanceIndex
from handler.search.records import Gone, Item, identity
from tests.unit.search_world import ABOUT, DIMENSIONS, QUERY, content, exact, expected, item, made, some

RECORDS = st.lists(
    st.builds(
        lambda key, seen, gone, etag: (
            Gone("b", key, seen) if gone else item(key, [ord(etag), ord(key), seen + 1] + [1] * 5, seen, "b", etag=etag)
        ),
        st.sampled_from("xyz"),
        st.integers(0, 4),
        st.booleans(),
        st.sampled_from("pq"),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25)
@given(RECORDS, st.randoms(use_true_random=False))
def test_the_latest_look_counts_whatever_the_order(tmp_path_factory: Any, records: list[Any], random_: Any) -> None:
    index = made(tmp_path_factory.mktemp("order") / "index")
    shuffled = [*records, *records[:3]]  # some come again
    random_.shuffle(shuffled)
    cut = random_.randrange(len(shuffled) + 1)
    for part in (shuffled[:cut], shuffled[cut:]):  # one write of many, and single ones
        together = [record for record in part if isinstance(record, Item)]
        if random_.random() < 0.5:
            index.put(together, ABOUT)
            index.delete([record for record in part if isinstance(record, Gone)])
        else:
            for record in part:
                index.put([record], ABOUT) if isinstance(record, Item) else index.delete([record])
    assert content(index) == expected(records)
    assert index.count() == len(expected(records))


def write(path: str, number: int, rounds: int) -> None:
    """One of several writers of the same keys and of its own; each look of a key is at another time."""
    index = LanceIndex(path)
    index.prepare(ABOUT)
    for turn in range(rounds):
        seen_at = 100 * turn + number
        vector = np.eye(DIMENSIONS)[number % DIMENSIONS] + 0.01
        both = [item(f"shared-{turn}", vector, seen_at, etag=str(number)), item(f"{number}-{turn}", vector, seen_at)]
        index.put(both, ABOUT)
        index.delete([Gone("photos", f"contested-{turn}", seen_at)] if number % 2 else [])
        index.put([item(f"contested-{turn}", vector, seen_at)] if number % 2 == 0 else [], ABOUT)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_writers_at_once_lose_nothing_and_double_nothing(tmp_path: Path, kind: str) -> None:
    path, rounds = str(tmp_path / "index"), 4  # they make the index at once, too
    writers = 5 if kind == "threads" else 3
    if kind == "threads":
        jobs: list[Any] = [threading.Thread(target=write, args=(path, one, rounds)) for one in range(writers)]
    else:
        spawn = multiprocessing.get_context("spawn")
        jobs = [spawn.Process(target=write, args=(path, one, rounds)) for one in range(writers)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
        assert getattr(job, "exitcode", 0) == 0
    rows = LanceIndex(path).table().to_arrow().select(["id", "etag", "gone", "seen_at"]).to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    by_id = {row["id"]: row for row in rows}
    assert {f"photos/{one}-{turn}" for one in range(writers) for turn in range(rounds)} <= set(by_id)
    for turn in range(rounds):  # the last of the writers has the latest look, and its number is even: it is there
        assert by_id[f"photos/shared-{turn}"]["etag"] == str(writers - 1)
        assert by_id[f"photos/contested-{turn}"]["gone"] is False


def test_a_table_that_grows_is_indexed_and_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_tuning, "FLAT_ROWS", 300)
    monkeypatch.setattr(lance_tuning, "FRAGMENTS", 20)
    index, items = made(tmp_path / "index"), some(640)
    for start in range(0, 640, 10):
        index.put(items[start : start + 10], ABOUT)
    table = index.table()
    [vectors] = [one for one in table.list_indices() if one.columns == ["vector"]]
    assert table.index_stats(vectors.name).num_indexed_rows > 300
    assert len(table.list_versions()) > 10
    assert table.stats()["fragment_stats"]["num_fragments"] < 40
    names = [identity(hit.bucket, hit.key) for hit in index.query(QUERY, ABOUT, 20)]
    assert names == [name for name, _ in exact(items, QUERY, 20)]


def test_the_first_of_all_keeps_its_table_where_the_answer_that_it_is_first_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that asks S3 again is told that the pointer is there: it is its own."""
    write_once = Directory.write_once

    def lost(store: Directory, name: str, data: bytes) -> bool:
        write_once(store, name, data)
        return False

    monkeypatch.setattr(Directory, "write_once", lost)
    index = LanceIndex(str(tmp_path / "index"))
    index.prepare(ABOUT)
    one = item("a.png", [1] * 8)
    index.put([one], ABOUT)
    assert content(index) == expected([one])
