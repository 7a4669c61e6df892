"""Images of a folder that go between the plan and the look at them, and a folder that goes itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from handler.batch import processes, shard
from handler.batch.folder_plan import plan
from handler.batch.reader import FolderReader
from handler.batch.store import Directory
from tests.unit.batch_world import png
from tests.unit.fake_bundle import FakeFunction
from tests.unit.handler.batch.conftest import Folder


def removed(path: Path) -> None:
    path.unlink()


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def below_a_file(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_bytes(b"an archive of it")


def a_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize("change", [removed, a_directory, below_a_file, a_circle])
def test_an_image_that_is_no_file_any_more_is_gone(folder: Folder, change: Callable[[Path], None]) -> None:
    """A directory has the name now, or one of its folders is a file: the vector of an earlier run does not count."""
    (folder.photos / "d").mkdir()
    folder.put("d/x.png", 9)
    assert folder.run("--changes") == 0
    assert "d/x.png" in folder.found()
    folder.stop = True
    assert folder.run("--run", "second") == 130  # planned, and stopped before it looks at an image
    folder.stop = False
    change(folder.photos / "d" / "x.png")

    assert folder.run("--run", "second") == 3
    assert sorted(folder.found()) == [f"{number}.png" for number in range(6)]
    (errors,) = folder.output.glob("errors/*/run=second/*.jsonl")
    assert '"code": "object_not_found"' in errors.read_text()


@pytest.mark.parametrize("place_stays", [False, True])
def test_a_folder_that_goes_meanwhile_says_nothing_of_its_images(tmp_path: Path, place_stays: bool) -> None:
    """As where a drive is pulled out: its images are neither failed nor gone, and the same command goes on."""
    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.png").write_bytes(png(number))
    service = FakeFunction(tmp_path / "bundle").service
    reader = FolderReader(photos, service.settings.max_object_bytes)
    model, digest = service.model(None), service.models.vectors_sha256()
    work = shard.Work(model, digest, service.settings, reader, Directory(output))
    name = f"{plan(photos, Directory(output), 'local', 1000)['prefix']}00000000.jsonl"
    photos.rename(tmp_path / "away")
    if place_stays:  # of a drive that is mounted there
        photos.mkdir()

    told = processes._shard(name, work, output, None, False)
    assert told.keys() == {"error"}
    assert f"{photos} is away or empty: see that its drive is mounted, and run this again" in told["error"]
    assert not [path for kind in ("vectors", "errors", "deletions") for path in (output / kind).rglob("*")]

    if place_stays:
        photos.rmdir()
    (tmp_path / "away").rename(photos)
    assert processes._shard(name, work, output, None, False) == {
        "shard": "00000000", "skipped": False, "embedded": 3, "failed": 0,
    }  # fmt: skip
