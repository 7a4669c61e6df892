"""Directories in which another process removes files and folders while they are listed."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openclip_lambda.batch import places, sample
from openclip_lambda.cli import main as cli

from handler.batch import command
from handler.batch.files import files_below
from handler.batch.folder_plan import plan
from handler.batch.store import Directory
from handler.errors import StartError

NAMES = ("a/1.png", "b/1.png", "b/c/1.png", "d/1.png", "e.png")


def _store(root: Path) -> list[str]:
    return [entry.name for entry in Directory(root).list("")]


def _plan(root: Path) -> list[str]:
    store = Directory(root.with_name("output"))
    found = plan(root, store, "local", 100)
    return [line.split(b'"key": "')[1].split(b'"')[0].decode()
            for line in store.read(f"{found['prefix']}00000000.jsonl").splitlines()]  # fmt: skip


def _client(root: Path) -> list[str]:
    return [entry.name for entry in places.Directory(root).entries("")]


LISTINGS: dict[str, Callable[[Path], list[str]]] = {"store": _store, "plan": _plan, "client": _client}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(b"1234")
    (tmp_path / "root/nowhere.png").symlink_to("gone.png")
    (tmp_path / "root/circle.png").symlink_to("circle.png")
    return tmp_path / "root"


class _Listed:
    """What os.scandir returns; `then` is called when the directory was read to its end, before anything is told."""

    def __init__(self, entries: Any, then: Callable[[], None]) -> None:
        with entries as found:
            self._entries = iter(list(found))
        then()

    def __enter__(self) -> "_Listed":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)


@pytest.mark.parametrize("listing", LISTINGS)
def test_what_is_there_all_the_time_is_listed_whatever_goes_meanwhile(
    listing: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(folder: Any) -> Any:
        def remove() -> None:
            with monkeypatch.context() as without:
                without.setattr(os, "scandir", real)
                shutil.rmtree(root / "b")
            (root / "e.png").unlink()

        return _Listed(real(folder), remove) if Path(folder) == root else real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert sorted(LISTINGS[listing](root)) == ["a/1.png", "d/1.png"]


def test_links_that_lead_nowhere_are_no_files(root: Path) -> None:
    assert sorted(_store(root)) == sorted(_client(root)) == sorted(_plan(root)) == sorted(NAMES)
    assert sample.of_folder(root).objects == len(NAMES)


def test_a_store_lists_in_the_order_of_names_as_a_bucket_does(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    names = ["run=a-b/1", "run=a/1", "run=a.b", "run=a/0/1"]
    for name in names:
        store.write(name, b"1")
    assert [entry.name for entry in store.list("run=")] == sorted(names)


def test_a_directory_that_may_not_be_read_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.scandir

    def scandir(folder: Any) -> Any:
        if Path(folder) == root / "b":  # as the tests run as root, who may read everything
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        list(files_below(root))
    with pytest.raises(StartError, match=r"root/b cannot be read: allow this user"):
        _plan(root)
    with pytest.raises(PermissionError):
        _client(root)
    assert cli.main(["batch", "estimate", str(root)]) == 1  # a smaller number would be believed
    assert f"error: {root / 'b'}: Permission denied: this user has no permission" in capsys.readouterr().err


def test_a_drive_that_does_not_answer_is_told_and_not_taken_for_the_output(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.scandir

    def scandir(folder: Any) -> Any:
        if Path(folder) == root / "b":
            raise OSError(errno.EIO, "Input/output error", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(command, "_image_formats", tuple)
    assert command.main([str(root), "--output", str(tmp_path / "out")]) == 1
    told = f"error: {root / 'b'} cannot be read: Input/output error: see that its drive answers, or give a folder"
    assert capsys.readouterr().err.startswith(told)
