"""Where results are written: all or nothing, once, whoever else writes at the same time."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.batch.store import Bucket, Directory, Store
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
def test_of_eight_that_write_at_once_one_wins_and_nothing_is_left_aside(
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
