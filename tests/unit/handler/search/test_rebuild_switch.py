"""A rebuild beside readers: they have the old index or the new one, whole, also when the rebuild fails or is killed."""

import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from handler.batch.store import Directory
from handler.errors import ApiError
from handler.search import rebuild, updates
from handler.search.lance import LanceIndex
from handler.search.records import Gone
from handler.search.source import Source, SourceError
from tests.unit.search_files import history, lines, parquet, save, spread
from tests.unit.search_world import ABOUT, DIMENSIONS, QUERY, content, expected, item, some, two_tables

ROOT = Path(__file__).parents[4]
OTHER = ABOUT._replace(manifest_sha256="cd" * 32)


def test_a_reader_has_the_old_index_or_the_new_one_whole(tmp_path: Path) -> None:
    old, new = [item(f"{n}", QUERY, 1) for n in range(40)], [item(f"{n}", QUERY, 2, etag="new") for n in range(70)]
    place = str(tmp_path / "index")
    rebuild.rebuild(Source(str(save(spread(old, 2), tmp_path / "vectors"))), LanceIndex(place))
    save(spread(new, 3), tmp_path / "new")
    seen: list[tuple[int, str]] = []
    stop, changed = threading.Event(), threading.Condition()

    def read() -> None:
        reader = LanceIndex(place)
        while not stop.is_set():
            hits = reader.query(QUERY, ABOUT, 1000)
            with changed:
                seen.append((len(hits), ",".join(sorted({hit.metadata["etag"] for hit in hits}))))
                changed.notify_all()

    def two_more() -> None:
        """Wait for two queries: the first may have begun before."""
        with changed:
            wanted = len(seen) + 2
            assert changed.wait_for(lambda: len(seen) >= wanted, 60)

    thread = threading.Thread(target=read)
    thread.start()
    for turn in range(3):
        two_more()  # or a reader that is slow would have an index from two rebuilds ago
        source = Source(str(tmp_path / ("vectors", "new")[turn % 2]))
        rebuild.rebuild(source, LanceIndex(place))
    two_more()
    stop.set()
    thread.join()
    assert set(seen) == {(40, "e"), (70, "new")}
    tables = [path.name for path in (tmp_path / "index").iterdir() if path.is_dir()]
    assert len(tables) == 2, tables  # the index, and the one before it for who has it open


KILLED = """
import os, signal, sys
from handler.batch.store import Directory
from handler.errors import ApiError
from handler.search import rebuild, updates
from handler.search.lance import LanceIndex
from handler.search.source import Source

def kill(name, done, of):
    if name == sys.argv[3] and done >= of // 2:
        os.kill(os.getpid(), signal.SIGKILL)

rebuild.rebuild(Source(sys.argv[1]), LanceIndex(sys.argv[2]), "", kill)
"""


def test_a_rebuild_that_is_killed_leaves_the_old_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, old, new = str(tmp_path / "index"), history(30), history(60, seed=1)
    rebuild.rebuild(Source(str(save(spread(old, 2), tmp_path / "vectors"))), LanceIndex(place))
    save(spread(new, 4), tmp_path / "new")
    for stage in ("rows", "index", "late"):
        arguments = [sys.executable, "-c", KILLED, str(tmp_path / "new"), place, stage]
        assert subprocess.run(arguments, cwd=ROOT, check=False).returncode == -9
        assert content(LanceIndex(place)) == expected(old)
    monkeypatch.setattr(rebuild, "ABANDONED", timedelta(0))
    time.sleep(1.1)  # the names tell seconds
    rebuild.rebuild(Source(str(tmp_path / "new")), LanceIndex(place))
    assert content(LanceIndex(place)) == expected(new)
    assert len([path for path in (tmp_path / "index").iterdir() if path.is_dir()]) == 2


def test_a_rebuild_that_fails_leaves_the_old_index_and_nothing_beside_it(tmp_path: Path) -> None:
    place, good = str(tmp_path / "index"), history(30)
    folder = save(spread(good, 2), tmp_path / "vectors")
    rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    broken = item("zero", QUERY)._replace(vector=np.zeros(DIMENSIONS, np.float32))
    save({"vectors/model=x/run=r/broken.parquet": parquet([*some(10), broken])}, folder)
    with pytest.raises(SourceError, match=r"broken.parquet has a vector without a direction, of zero"):
        rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    assert content(LanceIndex(place)) == expected(good)
    assert len([path for path in (tmp_path / "index").iterdir() if path.is_dir()]) == 1


def test_a_table_that_became_the_index_stays_where_the_answer_to_the_switch_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, old, new = str(tmp_path / "index"), history(30), history(60, seed=1)
    rebuild.rebuild(Source(str(save(spread(old, 2), tmp_path / "vectors"))), LanceIndex(place))
    save(spread(new, 4), tmp_path / "new")
    write = Directory.write

    def lost(store: Directory, name: str, data: bytes) -> None:
        write(store, name, data)
        if name == "current.json":
            raise TimeoutError("no answer")

    monkeypatch.setattr(Directory, "write", lost)
    with pytest.raises(ApiError, match="no answer"):
        rebuild.rebuild(Source(str(tmp_path / "new")), LanceIndex(place))
    assert content(LanceIndex(place)) == expected(new)


def test_files_that_come_meanwhile_are_in_the_new_index(tmp_path: Path) -> None:
    folder = save(spread([item("a", QUERY, 1), item("b", QUERY, 1)], 2), tmp_path / "vectors")
    index = LanceIndex(str(tmp_path / "index"))

    def arrive(name: str, done: int, of: int) -> None:
        if name == "index":
            save({"vectors/model=x/run=arrivals/c.parquet": parquet([item("c", QUERY, 3)])}, folder)
            save({"vectors/model=y/run=arrivals/d.parquet": parquet([item("d", QUERY, 3)], OTHER)}, folder)
            save({"deletions/model=x/run=arrivals/a.jsonl": lines([Gone("photos", "a", 4)])}, folder)

    made = rebuild.rebuild(Source(str(folder)), index, progress=arrive)
    assert (set(content(index)), made.late) == ({"photos/b", "photos/c"}, 2)


@pytest.mark.parametrize("others", [1, 2])
def test_a_rebuild_that_others_overtake_tells_what_the_index_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """Between its switch and its end: the second of them drops the table that it made."""
    folder, place = save(spread(history(30), 2), tmp_path / "vectors"), str(tmp_path / "index")
    clean = rebuild._clean

    def overtaken(index: LanceIndex, older: str | None) -> None:
        monkeypatch.setattr(rebuild, "_clean", clean)
        save({"vectors/model=x/run=r/more.parquet": parquet([item(f"more{n}", QUERY) for n in range(9)])}, folder)
        for _ in range(others):
            rebuild.rebuild(Source(str(folder)), LanceIndex(place))
        clean(index, older)

    monkeypatch.setattr(rebuild, "_clean", overtaken)
    made = rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    records = [*history(30), *(item(f"more{n}", QUERY) for n in range(9))]
    found = expected(records)
    assert (made.rows, made.gone) == (len(found), len({(one.bucket, one.key) for one in records}) - len(found))


@pytest.mark.parametrize("there", [False, True])
def test_the_index_is_of_the_bundle_whose_rebuild_began_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A rebuild is under way when another bundle is deployed, whose own rebuild is faster."""
    place, folder = str(tmp_path / "index"), tmp_path / "vectors"
    save({"vectors/model=x/run=r/old.parquet": parquet([item("old", QUERY)])}, folder)
    source = Source(str(folder))
    if there:
        rebuild.rebuild(source, LanceIndex(place))
    save({"vectors/model=y/run=r/new.parquet": parquet([item("new", QUERY)], OTHER)}, folder)
    tables = two_tables()
    names = iter(tables)
    monkeypatch.setattr(rebuild, "new_name", lambda: next(names))

    def faster(name: str, done: int, of: int) -> None:
        if name == "index":
            rebuild.rebuild(source, LanceIndex(place), OTHER.manifest_sha256)

    with pytest.raises(ApiError, match=r"began\. This one was dropped") as refused:
        rebuild.rebuild(source, LanceIndex(place), ABOUT.manifest_sha256, faster)
    assert refused.value.code == "index_of_another_model"
    assert set(content(LanceIndex(place))) == {"photos/new"}
    assert not (tmp_path / "index" / f"{tables[0]}.lance").exists()


def test_a_rebuild_that_began_earlier_and_is_done_first_does_not_stop_the_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, folder = str(tmp_path / "index"), tmp_path / "vectors"
    save({"vectors/model=x/run=r/old.parquet": parquet([item("old", QUERY)])}, folder)
    save({"vectors/model=y/run=r/new.parquet": parquet([item("new", QUERY)], OTHER)}, folder)
    names = reversed(two_tables())
    monkeypatch.setattr(rebuild, "new_name", lambda: next(names))

    def earlier(name: str, done: int, of: int) -> None:
        if name == "index":
            rebuild.rebuild(Source(str(folder)), LanceIndex(place), ABOUT.manifest_sha256)

    rebuild.rebuild(Source(str(folder)), LanceIndex(place), OTHER.manifest_sha256, earlier)
    assert set(content(LanceIndex(place))) == {"photos/new"}


def test_files_that_are_applied_while_rebuilds_run_are_not_lost(tmp_path: Path) -> None:
    place, folder = str(tmp_path / "index"), tmp_path / "vectors"
    records = history(120)
    files = spread(records, 12)
    first = [name for name in files if name.endswith(".parquet")][:6]
    save({name: files[name] for name in first}, folder)
    rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    rest = [name for name in files if name not in first]
    failures: list[Exception] = []
    begun = threading.Event()

    def arrive(names: list[str]) -> None:
        index = LanceIndex(place)
        try:
            assert begun.wait(60)
            for name in names:
                Directory(folder).write(name, files[name])  # the file is there before its message is
                updates.apply(Directory(folder), [name], index)
        except Exception as error:  # noqa: BLE001 - the test tells
            failures.append(error)

    threads = [threading.Thread(target=arrive, args=(rest[part::2],)) for part in range(2)]
    for thread in threads:
        thread.start()
    rebuild.rebuild(Source(str(folder)), LanceIndex(place), progress=lambda *_: begun.set())
    while any(thread.is_alive() for thread in threads):
        rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    for thread in threads:
        thread.join()
    assert failures == []
    assert content(LanceIndex(place)) == expected(records)
