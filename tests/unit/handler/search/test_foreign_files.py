"""A file that no batch wrote, in the place of vectors or deletions: each reader names it, and it stops no other."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handler.batch import changes, compaction
from handler.batch import parquet as batch_parquet
from handler.batch.reader import now
from handler.batch.store import Directory
from handler.errors import StartError
from handler.search import __main__ as command
from handler.search import updates_app
from handler.search.lance import LanceIndex
from handler.search.records import Gone, Item
from tests.unit.handler.search.test_search_apps import Files, message, returned
from tests.unit.search_files import lines, parquet, save
from tests.unit.search_world import ABOUT, DIMENSIONS, QUERY, content, expected, item, made

MODEL = ABOUT.manifest_sha256[:12]
FOREIGN = f"vectors/model={MODEL}/run=arrivals/foreign.parquet"
GONE = f"deletions/model={MODEL}/run=arrivals/foreign.jsonl"
GOOD = [item(f"{number}.png", np.roll(QUERY, number)) for number in range(9)]
LATER = GOOD[0]._replace(seen_at=2)  # so that its vector is read
NUMBERS = pa.array([1.0] * DIMENSIONS)
COLUMNS: dict[str, pa.Array] = {  # of one row, which other writers make of the same facts
    "a missing key": ("key", pa.array([None], pa.string())),
    "a missing bucket": ("bucket", pa.array([None], pa.string())),
    "a missing etag": ("etag", pa.array([None], pa.string())),
    "a missing time": ("last_modified", pa.array([None], pa.timestamp("ms", "UTC"))),
    "a key of bytes": ("key", pa.array([b"\xff"])),
    "a time as text": ("seen_at", pa.array(["yesterday"])),
    "a time in nanoseconds": ("seen_at", pa.array([1], pa.timestamp("ns", "UTC"))),
    "a number as text": ("size", pa.array(["large"])),
    "a width of 64 bits": ("width", pa.array([2**40], pa.int64())),
    "no vector": ("vector", pa.array([None], pa.list_(pa.float32(), DIMENSIONS))),
    "a vector with a hole": (
        "vector",
        pa.array([[None, *[1.0] * (DIMENSIONS - 1)]], pa.list_(pa.float32(), DIMENSIONS)),
    ),
    "a vector of zeros": ("vector", pa.array([[0.0] * DIMENSIONS], pa.list_(pa.float32(), DIMENSIONS))),
    "a vector that is not finite": ("vector", pa.array([[np.nan] * DIMENSIONS], pa.list_(pa.float64(), DIMENSIONS))),
    "a vector of texts": ("vector", pa.FixedSizeListArray.from_arrays(NUMBERS.cast(pa.string()), DIMENSIONS)),
}
# Not to remove it: without its list of deletions a batch's deleted images are found again.
WHAT_TO_DO = "no batch wrote it, or it is damaged: move it out of {}/, or restore it"
METADATA: dict[str, Any] = {
    "null": None,
    "a list": [],
    "no settings": {"model": "m", "manifest_sha256": "ab", "settings": None},
    "no model": {"manifest_sha256": "ab", "settings": {}},
    "no hash": {"model": "m", "settings": {}},
    "a hash that is no text": {"model": "m", "manifest_sha256": 12, "settings": {}},
}
LINES = {
    "half a surrogate pair": b'{"bucket": "b", "key": "\\ud800", "seen_at": 1}',
    "more than 64 bits": b'{"bucket": "b", "key": "k", "seen_at": 99999999999999999999}',
    "infinity": b'{"bucket": "b", "key": "k", "seen_at": Infinity}',
    "too many brackets": b"[" * 100_000,
    "another encoding": b'{"bucket": "b", "key": "\xff", "seen_at": 1}',
}


def changed(column: str = "", values: Any = None, metadata: dict[str, str] | None = None, of: Item = GOOD[0]) -> bytes:
    """Return a batch's file of one row with another column, or other metadata."""
    table = pq.read_table(pa.BufferReader(parquet([of])))
    if column:
        table = table.set_column(table.column_names.index(column), column, values)
    out = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata or table.schema.metadata), out)
    return bytes(out.getvalue().to_pybytes())


def without(column: str) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pq.read_table(pa.BufferReader(parquet(GOOD))).drop_columns(column), out)
    return bytes(out.getvalue().to_pybytes())


def damaged() -> bytes:
    """Return a file whose end is whole, and whose pages are not."""
    data = bytearray(parquet(GOOD))
    data[20:60] = b"\x55" * 40
    return bytes(data)


CASES: list[Any] = [
    *(pytest.param(FOREIGN, changed(name, values, of=LATER), id=it) for it, (name, values) in COLUMNS.items()),
    *(pytest.param(FOREIGN, changed(metadata={"openclip": json.dumps(it)}), id=name) for name, it in METADATA.items()),
    pytest.param(FOREIGN, changed(metadata={"pandas": "{}"}), id="other metadata"),
    pytest.param(FOREIGN, damaged(), id="damaged pages"),
    *(pytest.param(GONE, line + b"\n", id=name) for name, line in LINES.items()),
]


@pytest.mark.parametrize(("name", "data"), CASES)
def test_a_rebuild_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes) -> None:
    folder = save({f"vectors/model={MODEL}/run=r/0.parquet": parquet(GOOD), name: data}, tmp_path / "vectors")
    assert command.main(["rebuild", "--vectors", str(folder), "--index", str(tmp_path / "index")]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {name}")
    assert told.endswith(WHAT_TO_DO.format(name.partition("/")[0]) + "\n")


@pytest.mark.parametrize(("name", "data"), CASES)
def test_what_comes_with_it_is_in_the_index_and_it_goes_back_alone(tmp_path: Path, name: str, data: bytes) -> None:
    index, files = made(tmp_path), Files({name: data, "vectors/m/r/good.parquet": parquet(GOOD)})
    assert returned(updates_app.run([message(one) for one in files], files, index, ABOUT)) == {f"0-{name}"}
    assert content(index) == expected(GOOD)


@pytest.mark.parametrize(("name", "data"), CASES)
def test_small_files_beside_it_are_compacted_and_changes_name_it(tmp_path: Path, name: str, data: bytes) -> None:
    base = f"vectors/model={MODEL}/run=arrivals"
    save({f"{base}/{one.key}.parquet": parquet([one]) for one in GOOD} | {name: data}, tmp_path)
    for path in tmp_path.rglob("*.*"):
        os.utime(path, (1, 1))
    store = Directory(tmp_path)

    outcome = compaction.run(store, MODEL, compaction.MARGIN * 2)

    assert (outcome["compacted"], outcome["unread"]) == (len(GOOD), [name])
    with pytest.raises(StartError, match=name) as told:
        changes.embedded_before(store, ["arrivals"], MODEL, {})
    assert str(told.value).endswith(WHAT_TO_DO.format(name.partition("/")[0]))


EXACT = item("0.png", np.eye(DIMENSIONS)[0], seen_at=2)  # whose vector is the same in any type


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (changed(metadata={"pandas": "{}"}), "its metadata does not say what the vectors are of"),
        (changed(metadata={"openclip": "["}), "its metadata does not say what the vectors are of"),
        (changed(metadata={"openclip": "[]"}), "its metadata does not say what the vectors are of"),
        (without("etag"), "it does not have one column etag"),
    ],
    ids=["other", "cut", "a list", "no etag"],
)
def test_changes_and_compaction_are_told_what_is_missing(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^not a Parquet file of a batch: {why}$"):
        batch_parquet.read(data)


VECTOR = pa.array(np.asarray(EXACT.vector, np.float64))
KEYS = pa.array([EXACT.key])
SAME: dict[str, Any] = {
    "64 bits of offsets": ("key", KEYS.cast(pa.large_string())),
    "a dictionary": ("key", KEYS.dictionary_encode()),
    "a dictionary with 64 bits of offsets": ("bucket", pa.array([EXACT.bucket], pa.large_string()).dictionary_encode()),
    "a view": ("etag", pa.array([EXACT.etag]).cast(pa.string_view())),
    "microseconds": ("seen_at", pa.array([EXACT.seen_at * 1000], pa.timestamp("us", "UTC"))),
    "nanoseconds": ("last_modified", pa.array([EXACT.last_modified * 10**6], pa.timestamp("ns", "UTC"))),
    "a width of 64 bits": ("width", pa.array([EXACT.width], pa.int64())),
    "float64": ("vector", pa.FixedSizeListArray.from_arrays(VECTOR, DIMENSIONS)),
    "float16": ("vector", pa.FixedSizeListArray.from_arrays(VECTOR.cast(pa.float16()), DIMENSIONS)),
}


@pytest.mark.parametrize("column", SAME.values(), ids=SAME)
def test_columns_that_say_the_same_in_another_type_are_taken(tmp_path: Path, column: tuple[str, pa.Array]) -> None:
    """pandas, DuckDB and Polars write texts with offsets of 64 bits, or in a dictionary; DuckDB, microseconds."""
    (name, values), folder, place = column, tmp_path / "of", tmp_path / "index"
    save({FOREIGN: changed(name, values, of=EXACT)}, folder)
    assert command.main(["rebuild", "--vectors", str(folder), "--index", str(place)]) == 0
    assert content(LanceIndex(str(place))) == expected([EXACT])

    look = os.stat_result((0, 0, 0, 0, 0, 0, EXACT.size, 0, 0, 0, 0, 0, 0, 0, EXACT.last_modified * 10**6, 0))
    known = changes.embedded_before(Directory(folder), ["arrivals"], MODEL, {})
    assert not known.takes(EXACT.key, look)

    save({FOREIGN.replace("foreign", one.key): parquet([one]) for one in GOOD}, folder)  # the first one is older
    for path in folder.rglob("*.parquet"):
        os.utime(path, (1, 1))
    done = compaction.run(Directory(folder), MODEL, compaction.MARGIN * 2)
    assert (done["compacted"], done["unread"]) == (len(GOOD) + 1, [])
    compaction.run(Directory(folder), MODEL, now() + 2 * compaction.GRACE)
    assert [path.name[:9] for path in folder.rglob("vectors/**/*.parquet")] == ["compacted"]
    assert command.main(["rebuild", "--vectors", str(folder), "--index", str(place)]) == 0
    assert content(LanceIndex(str(place))) == expected([EXACT, *GOOD[1:]])


@pytest.mark.parametrize(
    "name",
    [
        *("vectors/m//x.parquet", "vectors/x.parquet", "vectors/a/b/c/x.parquet", "x/m/r/x.parquet"),
        *("vectors/m/r/x.jsonl", "vectors/m/r/._x.parquet"),
    ],
)
def test_a_name_that_a_rebuild_leaves_out_is_no_update(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Its rows would be found until the next rebuild."""
    index, files = made(tmp_path), Files({name: parquet(GOOD[:1]), FOREIGN: parquet(GOOD[1:])})
    assert returned(updates_app.run([message(one) for one in files], files, index, ABOUT)) == {f"0-{name}"}
    assert content(index) == expected(GOOD[1:])
    assert f"{name} is neither vectors/<model>/<run>/<file>.parquet nor deletions/" in capsys.readouterr().out


def test_what_macos_writes_beside_a_file_is_left_out_of_a_rebuild(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save({FOREIGN: parquet(GOOD), GONE: lines([Gone("photos", GOOD[0].key, GOOD[0].seen_at)])}, tmp_path)
    for name in (FOREIGN, GONE):
        path = tmp_path / name
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert command.main(["rebuild", "--vectors", str(tmp_path), "--index", str(tmp_path / "index")]) == 0
    assert ", 2 files with a name that no batch writes left out; " in capsys.readouterr().out
    assert content(LanceIndex(str(tmp_path / "index"))) == expected(GOOD[1:])


def test_a_name_that_is_not_utf_8_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save({FOREIGN: parquet(GOOD)}, tmp_path) / Path(FOREIGN).parent
    for left_out in ("\udcff.txt", "../\udcff.parquet"):
        (folder / left_out).touch()
    assert command.main(["rebuild", "--vectors", str(tmp_path), "--index", str(tmp_path / "index")]) == 0
    assert ", 1 file with a name that no batch writes left out; " in capsys.readouterr().out
    assert content(LanceIndex(str(tmp_path / "index"))) == expected(GOOD)

    (folder / "\udcff.parquet").touch()
    assert command.main(["rebuild", "--vectors", str(tmp_path), "--index", str(tmp_path / "index")]) == 1
    assert capsys.readouterr().err.startswith(f"error: vectors of {tmp_path} has a name that is not UTF-8")


@pytest.mark.parametrize(("milliseconds", "written"), [(2**60, "9999-12-31"), (-(2**60), "0001-01-01")])
def test_a_time_outside_of_the_years_of_iso_8601_costs_no_search(
    tmp_path: Path, milliseconds: int, written: str
) -> None:
    """tmpfs, XFS and others keep any time that a program, or a damaged archive, gives a file."""
    index = made(tmp_path)
    index.put([item("far.png", QUERY, last_modified=milliseconds), *GOOD], ABOUT)
    [first, *_] = [hit for hit in index.query(QUERY, ABOUT, 20) if hit.key == "far.png"]
    assert first.metadata["last_modified"].startswith(written)
