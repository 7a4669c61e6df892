"""`--changes` with images that cannot be embedded: no run stops at them, and what they had stays."""

from pathlib import Path

import pytest

from handler.batch import changes, command, folder_plan
from handler.batch.reader import FolderReader, Found
from handler.batch.rows import Row, read_deletions
from handler.batch.store import Directory
from handler.errors import ApiError
from tests.unit.handler.batch.conftest import Folder


def test_images_that_failed_before_stop_no_run_of_changes(folder: Folder) -> None:
    for number in range(30):
        (folder.photos / f"broken-{number}.png").write_bytes(b"no image")
    assert folder.run("--changes") == 3
    folder.stop = True
    assert folder.run("--changes", "--run", "june") == 130
    folder.stop = False
    assert folder.run("--run", "june") == 3  # as `batch resume` goes on with it
    assert len(folder.read) == 30


def test_an_image_that_nobody_may_read_stops_no_run_of_changes(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone may be what is left to try: the shard has no other image."""
    folder.put("locked.png", 9)
    read = FolderReader.read

    def refused(reader: FolderReader, row: Row, room: int) -> Found:
        if row.key == "locked.png":
            raise ApiError("object_not_readable", "locked.png cannot be read: Permission denied")
        return read(reader, row, room)

    monkeypatch.setattr(FolderReader, "read", refused)
    for _ in range(2):
        assert folder.run("--changes") == 3
        assert folder.read == ["locked.png"]


def test_what_a_bundle_does_not_decode_any_more_keeps_its_vector(folder: Folder, tmp_path: Path) -> None:
    """As after a build that does not name HEIC, of the same model: the image is there."""
    known = {name: changes.Look(1, 1) for name in ("a.HEIC", "0.png", "gone.heic")}
    (folder.photos / "a.HEIC").write_bytes(b"2")
    store = Directory(tmp_path / "another")

    found = folder_plan.plan(
        folder.photos, store, "june", 10, since=lambda: folder_plan.Since(changes.Changes(known), "deletions/m/june/")
    )

    assert found["changes"] == {"new": 5, "changed": 1, "unchanged": 1, "gone": 1}
    [(_, data)] = [(entry, store.read(entry.name)) for entry in store.list("deletions/")]
    assert [key for _, key, _ in read_deletions(data)] == ["0.png", "gone.heic"]
    again = changes.Changes(known)
    folder_plan.compare(folder.photos, (), again)
    assert again.counts() == found["changes"]


def test_a_folder_that_never_had_an_image_has_no_changes(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for options in ([], ["--changes"]):
        assert command.main([str(tmp_path / "empty"), "--output", str(tmp_path / "none"), *options]) == 0
