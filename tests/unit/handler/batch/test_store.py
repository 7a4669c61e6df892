"""Where results are written: all or nothing, once, whoever else writes at the same time."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.batch.store import Bucket, Directory, Store, _remove_abandoned
from tests.unit.batch_world import OUTPUT, world


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse hard links as link(2) does on a file system that has none, such as exFAT."""

    def link(source: Any, target: Any, **_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    monkeypatch.setattr(os, "link", link)


@pytest.fixture(params=["directory", "directory without links", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "directory without links":
        request.getfixturevalue("no_links")
    if request.param.startswith("directory"):
        yield Directory(tmp_path / "out")
        return
    with world(tmp_path / "bundle") as made:
        yield Bucket(made.s3, OUTPUT)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the working directory was removed, or a disk is gone: it was tried for ever."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(FileNotFoundError):
        Directory(Path("out")).write_once("a/b", b"x")


def test_the_first_to_write_once_wins(store: Store) -> None:
    assert not store.exists("a/b")
    assert store.write_once("a/b", b"first")
    assert not store.write_once("a/b", b"second")
    assert (store.exists("a/b"), store.read("a/b")) == (True, b"first")


def test_a_plain_write_replaces(store: Store) -> None:
    store.write("a", b"1")
    store.write("a", b"2")
    assert store.read("a") == b"2"


def test_what_is_missing_is_a_file_not_found(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.read("nothing")


@pytest.mark.parametrize("links", [True, False])
def test_one_of_eight_concurrent_writers_wins_and_leaves_no_file_aside(
    request: pytest.FixtureRequest, tmp_path: Path, links: bool
) -> None:
    if not links:
        request.getfixturevalue("no_links")
    store, won = Directory(tmp_path), []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        if store.write_once("x/y", str(number).encode() * 1000):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("x/y") == str(won[0]).encode() * 1000
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["y"]


def test_a_folder_is_cleared_and_others_are_not(store: Store) -> None:
    for name in ("parts/a/1", "parts/a/2", "parts/b/1"):
        store.write(name, b"x")
    store.clear("parts/a/")
    store.clear("parts/nothing/")
    assert [entry.name for entry in store.list("parts/")] == ["parts/b/1"]


KILLED = """
import os, signal, sys
from pathlib import Path
from handler.batch.store import Directory
os.link = Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
getattr(Directory(Path(sys.argv[1])), sys.argv[2])("a/b", b"x" * 9)
"""


def killed_in_the_middle(root: Path, method: str) -> Path:
    """Kill a process between writing aside and renaming; return what it left."""
    process = subprocess.run([sys.executable, "-c", KILLED, str(root), method], check=False)
    assert process.returncode == -signal.SIGKILL
    [left] = (root / "a").iterdir()
    return left


@pytest.mark.parametrize("method", ["write", "write_once"])
@pytest.mark.parametrize("then", ["write", "write_once", "clear"])
def test_what_a_killed_process_left_half_written_is_removed_by_the_next_one(
    tmp_path: Path, method: str, then: str
) -> None:
    killed_in_the_middle(tmp_path, method)
    store = Directory(tmp_path)
    if then == "clear":
        store.clear("a/")
        assert list(tmp_path.iterdir()) == []
        return
    getattr(store, then)("a/c", b"y")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["c"]


@pytest.mark.parametrize("method", ["write", "write_once"])
def test_what_has_its_name_is_on_the_disk(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loses power must not have the name of a shard without its bytes: it would count as done."""
    synced = []

    def fsync(number: int) -> None:
        synced.append((os.fstat(number).st_size, (tmp_path / "a" / "b").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    getattr(Directory(tmp_path), method)("a/b", b"shard")
    assert synced == [(5, False)]


def test_what_another_is_writing_now_is_left_alone(tmp_path: Path) -> None:
    one, other = Directory(tmp_path), Directory(tmp_path)
    with one._aside("a/b", b"one") as aside:
        other.write("a/c", b"other")
        other.clear("a/")
        aside.replace(tmp_path / "a" / "b")
    assert one.read("a/b") == b"one"
    assert not other.exists("a/c")


def test_writers_and_one_that_clears_do_not_lose_a_file(tmp_path: Path) -> None:
    """A file is there before it is locked: who takes it for abandoned then must not lose what is written to it."""
    store, ends = Directory(tmp_path), threading.Event()

    def clear() -> None:
        while not ends.is_set():
            _remove_abandoned(tmp_path / "a")

    threads = [threading.Thread(target=clear) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(500):
        store.write(f"a/{number}", b"x")
    ends.set()
    for thread in threads:
        thread.join()
    assert len(list((tmp_path / "a").iterdir())) == 500


@pytest.mark.parametrize("method", ["write", "write_once"])
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read_a_file(tmp_path: Path, method: str, umask: int, mode: int) -> None:
    """A run of root wrote vectors that nobody else could read."""
    before = os.umask(umask)
    try:
        getattr(Directory(tmp_path), method)("a/b", b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == mode
