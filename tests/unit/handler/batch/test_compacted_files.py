"""What is compacted: files of one kind and one setting, those that can be read, and a bucket's own arrivals."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.batch import arrivals, compaction, parquet
from handler.batch.compaction import GRACE, MARGIN
from handler.batch.store import Directory
from tests.unit.batch_world import SOURCE, newest, png, vector, world
from tests.unit.handler.batch.test_arrivals import message
from tests.unit.handler.batch.test_compaction import ABOUT, MODEL, WRITTEN, age, compact, embedded, fill, small


def test_files_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    eights: dict[str, Any] = {**ABOUT, "settings": {"normalize": True, "vectors": "int8", "scale": 127.0}}
    for number in range(12):
        item = embedded(f"{number}.png", number, 0.5)
        eighth = item._replace(vector=np.array([64, 127], np.int8))
        of = ([eighth], 2, eights) if number % 2 else ([item], 2, ABOUT)
        store.write(f"vectors/model={MODEL}/run=arrivals/{number:020x}.parquet", parquet.write(*of))
        os.utime(tmp_path / f"vectors/model={MODEL}/run=arrivals/{number:020x}.parquet", (WRITTEN / 1000,) * 2)
    assert compact(store, WRITTEN + MARGIN)["written"] == 2
    found = [parquet.read((tmp_path / name).read_bytes()) for name in small(tmp_path) if "compacted" in name]
    assert sorted((str(rows[0].vector.dtype), len(rows), about == eights) for rows, about in found) == [
        ("float32", 6, False),
        ("int8", 6, True),
    ]


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1 and nothing more PAR1"])
def test_what_cannot_be_read_is_named_and_stays_and_holds_up_no_other(tmp_path: Path, content: bytes) -> None:
    wanted = fill(tmp_path, 6)
    names = [f"vectors/model={MODEL}/run=arrivals/odd.parquet", f"deletions/model={MODEL}/run=arrivals/odd.jsonl"]
    for name in names:
        Directory(tmp_path).write(name, content or b"[]\n")
        os.utime(tmp_path / name, (WRITTEN / 1000,) * 2)
    outcome = compact(Directory(tmp_path), WRITTEN + MARGIN)
    assert (outcome["compacted"], outcome["unread"]) == (30, sorted(names))
    age(tmp_path, WRITTEN)
    compact(Directory(tmp_path), WRITTEN + GRACE)
    assert set(names) < set(small(tmp_path))
    for name in names:
        Directory(tmp_path).remove(name)
    assert newest(tmp_path) == wanted


def test_small_files_stay_for_an_hour_after_they_were_compacted(tmp_path: Path) -> None:
    """For whoever listed them; and nothing compacts them again meanwhile."""
    wanted, store = fill(tmp_path, 6), Directory(tmp_path)
    age(tmp_path, WRITTEN)
    compact(store, WRITTEN + MARGIN)
    listed = small(tmp_path)
    age(tmp_path, WRITTEN + MARGIN)

    soon = compact(store, WRITTEN + MARGIN + GRACE - 1)
    assert (soon["removed"], soon["compacted"], small(tmp_path)) == (0, 0, listed)
    assert compact(store, WRITTEN + MARGIN + GRACE)["removed"] == 30
    assert newest(tmp_path) == wanted


@pytest.mark.parametrize("kind", ["vectors", "deletions"])
def test_small_files_stay_where_what_they_were_merged_into_is_not_there(tmp_path: Path, kind: str) -> None:
    """As where a record of a compaction is put back from a copy, and its files were merged again meanwhile."""
    wanted, store = fill(tmp_path, 6), Directory(tmp_path)
    before = small(tmp_path)
    age(tmp_path, WRITTEN)
    compact(store, WRITTEN + MARGIN)
    [merged] = [name for name in small(tmp_path) if name.startswith(kind) and name not in before]
    store.remove(merged)
    age(tmp_path, WRITTEN)

    assert compact(store, WRITTEN + GRACE)["removed"] == 0
    assert set(before) <= set(small(tmp_path))
    assert newest(tmp_path) == wanted


@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_BYTES"])
def test_no_more_is_merged_at_once_than_fits_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    wanted, store = fill(tmp_path, 6), Directory(tmp_path)
    sizes = {name: (tmp_path / name).stat().st_size for name in small(tmp_path)}
    most = {"MOST_FILES": 10, "MOST_BYTES": sum(sizes.values()) // 2}[limit]
    monkeypatch.setattr(compaction, limit, most)
    age(tmp_path, WRITTEN)

    assert compact(store, WRITTEN + MARGIN)["compacted"] > 15
    records = [json.loads(store.read(entry.name))["sources"] for entry in store.list("compactions/")]
    assert len(records) > 1
    for names in records:
        assert len(names) <= most if limit == "MOST_FILES" else sum(sizes[name] for name in names) <= most
    assert newest(tmp_path) == wanted


def test_a_merged_file_that_reads_otherwise_than_it_was_written_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, store, read = fill(tmp_path, 6), Directory(tmp_path), Directory.read
    age(tmp_path, WRITTEN)
    before = small(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Directory, "read", lambda of, name: read(of, name)[: -1 if "compacted" in name else None])
        with pytest.raises(OSError, match=r"compacted-.* reads other than it was written: nothing is removed"):
            compact(store, WRITTEN + MARGIN)
    assert list(store.list("compactions/")) == []
    assert set(before) <= set(small(tmp_path))
    assert newest(tmp_path) == wanted


def test_it_stops_between_two_merges_where_its_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MOST_FILES", 10)
    wanted, answers = fill(tmp_path, 6), iter([False, True])
    age(tmp_path, WRITTEN)
    outcome = compaction.run(Directory(tmp_path), MODEL, WRITTEN + MARGIN, lambda: next(answers))
    assert outcome["compacted"] == 10
    assert newest(tmp_path) == wanted


def test_many_files_that_cannot_be_read_hold_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MOST_FILES", 8)
    fill(tmp_path, 6)
    for number in range(8):  # the smallest, so that they come first
        Directory(tmp_path).write(f"deletions/model={MODEL}/run=arrivals/odd-{number}.jsonl", b"?")
    age(tmp_path, WRITTEN)
    outcome = compact(Directory(tmp_path), WRITTEN + MARGIN)
    assert (len(outcome["unread"]), outcome["compacted"] > 20) == (8, True)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b'{"written": []}', b'{"sources": null, "written": []}', b"\xff", b"[" * 100_000],
    ids=["empty", "cut", "null", "no sources", "null in it", "another encoding", "too many brackets"],
)
def test_a_damaged_record_is_named_and_what_it_named_is_compacted_again(tmp_path: Path, content: bytes) -> None:
    """Nothing is lost by that: the small files are there yet, or their copies are."""
    wanted = fill(tmp_path, 6)
    compact(Directory(tmp_path), WRITTEN + MARGIN)
    [record] = [entry.name for entry in Directory(tmp_path).list("compactions/")]
    Directory(tmp_path).write(record, content)

    for _ in range(2):
        age(tmp_path, WRITTEN)
        assert compact(Directory(tmp_path), WRITTEN + GRACE)["unread"] == [record]
        assert newest(tmp_path) == wanted

    assert sorted(name.split("/")[0] for name in small(tmp_path)) == ["deletions", "vectors"]
    assert [entry.name for entry in Directory(tmp_path).list("compactions/")] == [record]


def test_vectors_of_another_length_end_no_compaction(tmp_path: Path) -> None:
    """No model gives both; a rebuild says so of the files."""
    wanted = fill(tmp_path, 6)
    odd = embedded("odd.png", 1_790_000_000_000, 0.5)._replace(vector=np.array([1.0, 2.0, 3.0], np.float32))
    name = f"vectors/model={MODEL}/run=arrivals/odd.parquet"
    Directory(tmp_path).write(name, parquet.write([odd], 3, ABOUT))
    age(tmp_path, WRITTEN)

    assert compact(Directory(tmp_path), WRITTEN + MARGIN)["compacted"] == 31
    age(tmp_path, WRITTEN)
    assert compact(Directory(tmp_path), WRITTEN + GRACE)["removed"] == 31
    assert newest(tmp_path) == {**wanted, "odd.png": [1.0, 2.0, 3.0]}


def test_arrivals_of_a_bucket_are_compacted_and_the_state_is_the_buckets(tmp_path: Path) -> None:
    with world(tmp_path / "bundle") as made:
        for number in range(20):
            made.put(f"{number % 15}.png", png(number))
            arrivals.run([message(f"{number % 15}.png", number=number)], made.work)
        made.s3.delete_object(Bucket=SOURCE, Key="7.png")
        arrivals.run([message("7.png", "Object Deleted")], made.work)
        model = made.work.manifest_sha256[:12]
        later = max(entry.modified for entry in made.work.store.list("")) + 2 * GRACE
        assert compaction.run(made.work.store, model, later)["compacted"] == 21
        assert compaction.run(made.work.store, model, later)["removed"] == 21
        assert len(made.names("vectors/")) == len(made.names("deletions/")) == 1
        found = newest(made.download(tmp_path / "out"))
    truth = {f"{key}.png": max(number for number in range(20) if number % 15 == key) for key in range(15) if key != 7}
    assert set(found) == set(truth)
    for key, red in truth.items():
        np.testing.assert_allclose(found[key], vector(red), atol=1e-6)


def test_the_files_own_form_survives(tmp_path: Path) -> None:
    items = [embedded("ü.png", 5, 0.25), embedded("b.png", 7, 0.75)]
    data = parquet.write(items, 2, ABOUT)
    rows, about = parquet.read(data)
    assert about == ABOUT
    assert parquet.write(rows, 2, about) == data
    assert parquet.read(parquet.write([], 2, ABOUT)) == ([], ABOUT)
