"""An index from the files of batches: the latest look of each key, switched at once, and the same by single updates."""

import io
import random
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.batch.store import Directory
from handler.errors import ApiError
from handler.search import __main__ as command
from handler.search import lance_tuning, latest, rebuild, s3vectors, source, updates
from handler.search.lance import LanceIndex
from handler.search.records import Gone, Item, identity
from handler.search.source import Looks, ParquetSource, Source, SourceError
from tests.unit.search_files import history, parquet, save, spread
from tests.unit.search_world import ABOUT, QUERY, content, exact, expected, item, newest_of, some

ROOT = Path(__file__).parents[4]
OTHER = ABOUT._replace(manifest_sha256="cd" * 32)


@pytest.mark.parametrize("indexed", [False, True])
def test_the_latest_look_of_each_key_is_in_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    monkeypatch.setattr(lance_tuning, "FLAT_ROWS", 50 if indexed else 10**9)
    records = history(600)
    index = LanceIndex(str(tmp_path / "index"))
    made = rebuild.rebuild(Source(str(save(spread(records, 9), tmp_path / "vectors"))), index)
    wanted = newest_of(records)
    assert 300 < len(wanted) < 600
    assert (made.rows, made.rows + made.gone, made.read) == (len(wanted), 600, len(records))
    assert content(index) == expected(records)
    assert index.about() == ABOUT
    names = [identity(hit.bucket, hit.key) for hit in index.query(QUERY, ABOUT, 10)]
    assert names == [name for name, _ in exact(list(wanted.values()), QUERY, 10)]
    assert index.count() == len(wanted)
    assert len(index.table().list_indices()) == indexed


def test_a_file_of_many_rows_which_is_read_in_parts_counts_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "BATCH_ROWS", 16)
    records = history(200)
    index = LanceIndex(str(tmp_path / "index"))
    made = rebuild.rebuild(Source(str(save(spread(records, 3), tmp_path / "vectors"))), index)
    assert (made.rows, content(index)) == (len(newest_of(records)), expected(records))


def test_updates_in_any_order_give_what_a_rebuild_gives(tmp_path: Path) -> None:
    records = history(120)
    files = spread(records, 8)
    store = Directory(save(files, tmp_path / "vectors"))
    for seed in range(4):
        names = [*files, *list(files)[:4]]  # some come twice
        random.Random(seed).shuffle(names)  # noqa: S311
        index = LanceIndex(str(tmp_path / f"index-{seed}"))
        index.prepare(ABOUT)
        for name in names:
            updates.apply(store, [name], index)
        assert content(index) == expected(records)
    counts = updates.apply(store, files, index)
    assert counts["put"] + counts["deleted"] == len(records)
    late = item(records[0].key, QUERY, 0, records[0].bucket)  # older than every look: it brings nothing back
    index.delete([Gone(late.bucket, late.key, 100)])
    index.put([late], ABOUT)
    assert identity(late.bucket, late.key) not in content(index)


def test_a_late_older_put_brings_nothing_back_after_a_rebuild_either(tmp_path: Path) -> None:
    records: list[Item | Gone] = [item("a", QUERY, 5), Gone("photos", "a", 9), item("b", QUERY, 5)]
    index = LanceIndex(str(tmp_path / "index"))
    rebuild.rebuild(Source(str(save(spread(records, 2), tmp_path / "vectors"))), index)
    index.put([item("a", QUERY, 8)], ABOUT)
    assert list(content(index)) == ["photos/b"]
    index.put([item("a", QUERY, 10)], ABOUT)
    assert set(content(index)) == {"photos/a", "photos/b"}


def test_an_index_of_which_all_is_gone_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_tuning, "FLAT_ROWS", 10)
    items = some(40)
    gone = [Gone(one.bucket, one.key, 9) for one in items]
    index = LanceIndex(str(tmp_path / "index"))
    made = rebuild.rebuild(Source(str(save(spread([*items, *gone], 3), tmp_path / "vectors"))), index)
    assert (made.rows, made.gone, index.query(QUERY, ABOUT, 10)) == (0, 40, [])
    index.put([item("new", QUERY, 10)], ABOUT)
    assert list(content(index)) == ["photos/new"]


def test_vectors_of_eight_bits_are_brought_to_unit_length(tmp_path: Path) -> None:
    items = some(50)
    save({"vectors/model=x/run=r/0.parquet": parquet(items, scale=127)}, tmp_path / "vectors")
    index = LanceIndex(str(tmp_path / "index"))
    rebuild.rebuild(Source(str(tmp_path / "vectors")), index)
    for hit in index.query(QUERY, ABOUT, 50, with_vectors=True):
        assert hit.vector is not None
        assert np.linalg.norm(hit.vector) == pytest.approx(1, abs=1e-6)
    assert [hit.key for hit in index.query(QUERY, ABOUT, 1)] == [exact(items, QUERY, 1)[0][0].partition("/")[2]]


def test_rows_in_shares_are_the_same_rows() -> None:
    records = history(100)
    looks = [
        Looks([identity(one.bucket, one.key)], np.array([one.seen_at]), [one.etag if isinstance(one, Item) else ""])
        for one in records
    ]

    def read() -> Any:
        return ((place, isinstance(records[place], Gone), look) for place, look in enumerate(looks))

    counts = [1] * len(records)
    whole = np.concatenate(latest.latest(counts, read))
    wanted = newest_of(records)
    for one, kept in zip(records, whole, strict=True):
        if kept and isinstance(one, Item):
            assert wanted[identity(one.bucket, one.key)][:-1] == one[:-1]
    assert whole.sum() == 100
    for at_once in (7, 60):
        assert (np.concatenate(latest.latest(counts, read, at_once)) == whole).all()


def test_vectors_of_several_bundles_are_chosen_from(tmp_path: Path) -> None:
    folder = save(spread([item("a", QUERY)], 1), tmp_path / "vectors")
    save(spread([item("b", QUERY)], 1, about=OTHER), folder)
    index = LanceIndex(str(tmp_path / "index"))
    with pytest.raises(SourceError, match=r"2 bundles \(abababababab, cdcdcdcdcdcd\): choose one with --manifest"):
        rebuild.rebuild(Source(str(folder)), index)
    rebuild.rebuild(Source(str(folder)), index, "cdcd")
    assert (set(content(index)), index.about()) == ({"photos/b"}, OTHER)
    with pytest.raises(ApiError) as caught:  # an update of the other one
        updates.apply(Directory(folder), [next(iter(spread([item("a", QUERY)], 1)))], index)
    assert caught.value.code == "index_of_another_model"
    assert "python -m handler.search rebuild" in caught.value.message


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no vectors"),
        ({"vectors/m/r/x.parquet": b"PAR1 not really"}, r"x\.parquet is no Parquet file"),
        ({"vectors/m/r/x.parquet": b""}, r"x\.parquet is no Parquet file"),
        (
            {"vectors/m/r/x.parquet": parquet(some(3)), "deletions/m/r/x.jsonl": b"{}\n"},
            r"x\.jsonl, line 1: not bucket",
        ),
    ],
)
def test_what_no_batch_wrote_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, bytes], message: str
) -> None:
    folder = save(files, tmp_path / "vectors")
    status = command.main(["rebuild", "--vectors", str(folder), "--index", str(tmp_path / "index")])
    said = capsys.readouterr()
    assert (status, said.out) == (1, "")
    assert said.err.startswith("error: ")
    assert re.search(message, said.err), said.err
    assert not (tmp_path / "index").exists()


def test_a_file_that_cannot_be_read_for_the_moment_is_not_said_to_be_worth_nothing() -> None:
    class Away(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("AWS Error NETWORK_CONNECTION")

    with pytest.raises(SourceError, match=r"NETWORK_CONNECTION\): try again. If that stays so: no batch"):
        ParquetSource("vectors/m/r/x.parquet", Away(b"PAR1" * 9))


@pytest.mark.parametrize(
    ("vectors", "index", "message"),
    [
        ("gs://bucket", "index", "the vectors at 'gs://bucket' cannot be read"),
        ("s3://", "index", "the vectors at 's3://' cannot be read"),  # pyarrow would ask a bucket called "vectors"
        ("s3:///photos", "index", "the vectors at 's3:///photos' cannot be read"),
        ("", "index", "the vectors at '' cannot be read"),  # as of a variable that is not set
        ("\udcff", "index", "the vectors at '\\udcff' cannot be read: the name is not UTF-8"),
        ("nowhere", "", "--index is '': set it to a directory"),
        ("nowhere", "s3:///index", "--index is 's3:///index'"),
        ("nowhere", "s3vectors:", "--index is 's3vectors:'"),
        ("nowhere", "s3vectors:photos", "--index is 's3vectors:photos'"),
        ("nowhere", "s3vectors:photos/", "--index is 's3vectors:photos/'"),
        ("nowhere", "db://company", "--index is 'db://company': set it to a directory, s3://bucket/prefix"),
        ("nowhere", "s3://", "--index is 's3://'"),
        ("nowhere", "index", "nowhere has no vectors"),
    ],
)
def test_what_names_no_place_or_one_that_nobody_tested_is_refused(
    capsys: pytest.CaptureFixture[str], vectors: str, index: str, message: str
) -> None:
    assert command.main(["rebuild", "--vectors", vectors, "--index", index]) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_the_command_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records: list[Item | Gone] = [item("a", QUERY, 1), item("a", QUERY, 2), item("b", QUERY, 1), Gone("photos", "b", 2)]
    folder = save(spread(records, 2), tmp_path / "vectors")
    assert command.main(["rebuild", "--vectors", str(folder), "--index", str(tmp_path / "index")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 image can be found and 1 is gone, of 4 rows; ")
    assert said.endswith(f" s; the index is {tmp_path / 'index'}\n")


def test_a_workstation_without_boto3_is_told_what_s3_vectors_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    s3vectors._client.cache_clear()
    folder = save(spread(history(10), 1), tmp_path / "vectors")

    assert command.main(["rebuild", "--vectors", str(folder), "--index", "s3vectors:mine/index"]) == 1

    assert capsys.readouterr().err == "error: an index in S3 Vectors needs boto3: run `pip install boto3`\n"


def test_ctrl_c_ends_the_command_in_a_line_and_the_old_index_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors, place = save(spread(history(50), 2), tmp_path / "vectors"), str(tmp_path / "index")
    asked = ["rebuild", "--vectors", str(vectors), "--index", place]
    assert command.main(asked) == 0
    before = content(LanceIndex(place))

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lance_tuning, "create_index", stopped)
    assert command.main(asked) == 130
    left = "the index is the old one or the new one (in S3 Vectors it may be a part)"
    assert capsys.readouterr().err == f"\ninterrupted: {left}; the same command begins anew\n"
    assert content(LanceIndex(place)) == before
