"""`python -m handler.batch --changes`: what is found afterwards is what the folder has, and only changes are embedded.

The output is read as docs/collections.md tells users to read it.
"""

import json
import os

import pytest

from handler.batch import folder_plan
from handler.batch.reader import now
from handler.batch.rows import json_lines
from handler.batch.store import Directory
from tests.unit.batch_world import png, vector
from tests.unit.handler.batch.conftest import Folder


def test_what_is_found_is_what_the_folder_has_and_only_changes_are_embedded(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.put("new.png", 100)
    folder.put("1.png", 101)  # of the same size: of one color as before
    folder.put("2.png", 102, 1_600_000_000)  # replaced by an older file
    (folder.photos / "3.png").write_bytes(b"no image")
    (folder.photos / "4.png").unlink()
    capsys.readouterr()
    assert folder.run("--changes") == 3
    assert "1 new, 3 changed, 1 gone, 2 unchanged\n4 images in 1 shard" in capsys.readouterr().out
    assert sorted(folder.read) == ["1.png", "2.png", "3.png", "new.png"]
    wanted = {"0.png": 0, "1.png": 101, "2.png": 102, "5.png": 5, "new.png": 100}
    found = folder.found()
    assert found.keys() == wanted.keys()
    assert all(found[name] == pytest.approx(vector(red)) for name, red in wanted.items())

    folder.put("4.png", 4, 1_700_000_000)  # it comes back as it was
    assert folder.run("--changes") == 3
    assert sorted(folder.read) == ["3.png", "4.png"]  # and what failed is tried again
    assert folder.found()["4.png"] == pytest.approx(vector(4))


def test_a_file_of_another_size_and_the_same_time_is_changed(folder: Folder) -> None:
    """As where `cp -p`, or an archive, put another one in its place."""
    (folder.photos / "5.png").write_bytes(png(105) + b"more")
    os.utime(folder.photos / "5.png", (1_700_000_000,) * 2)
    assert folder.run("--changes") == 0
    assert folder.read == ["5.png"]
    assert folder.found()["5.png"] == pytest.approx(vector(105))


def test_a_run_of_changes_that_was_stopped_is_made_good_by_the_next(folder: Folder) -> None:
    folder.put("1.png", 101)
    folder.put("new.png", 100)
    folder.stop = True
    assert folder.run("--changes") == 130
    assert "1.png" not in folder.found()  # the image that it shows is not there any more
    folder.stop = False
    assert folder.run("--changes") == 0
    assert folder.read == ["1.png", "new.png"]
    assert folder.found()["1.png"] == pytest.approx(vector(101))
    assert folder.run("--changes") == 0
    assert folder.read == []


def test_a_stopped_run_of_changes_goes_on_under_its_name(folder: Folder) -> None:
    folder.put("new.png", 100)
    folder.stop = True
    assert folder.run("--changes", "--run", "june") == 130
    folder.stop = False
    folder.put("later.png", 99)
    assert folder.run("--run", "june") == 0
    assert folder.read == ["new.png"]


def test_the_slower_of_two_listings_of_one_run_takes_nothing_away(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its deletions would be later than the vectors of the plan that holds."""
    folder.put("1.png", 101)
    written = Directory.write_once
    monkeypatch.setattr("handler.batch.folder_plan.now", lambda: 2_000_000_000_000)

    def overtaken(store: Directory, name: str, data: bytes) -> bool:
        monkeypatch.setattr(Directory, "write_once", written)
        monkeypatch.setattr("handler.batch.folder_plan.now", lambda: 1_999_999_999_000)
        assert folder.run("--changes", "--run", "june") == 0  # listed before, and done first
        return written(store, name, data)

    monkeypatch.setattr(Directory, "write_once", overtaken)
    assert folder.run("--changes", "--run", "june") == 0
    assert folder.found()["1.png"] == pytest.approx(vector(101))


def test_a_clock_that_was_ahead_hides_no_change(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = now() + 8 * 3_600_000  # as of a machine with two systems, one of which takes its clock for local time
    with monkeypatch.context() as patched:
        patched.setattr(folder_plan, "now", lambda: ahead)
        folder.put("6.png", 6)
        folder.put("7.png", 7)
        assert folder.run("--changes") == 0
        folder.put("8.png", 8)
        (folder.photos / "7.png").unlink()
        assert folder.run("--changes") == 0
    folder.put("6.png", 60, 1_700_000_001)
    folder.put("7.png", 70)
    (folder.photos / "8.png").unlink()
    assert folder.run("--changes") == 0
    found = folder.found()
    assert sorted(found) == [f"{number}.png" for number in range(8)]
    assert [found[name] for name in ("6.png", "7.png")] == [pytest.approx(vector(60)), pytest.approx(vector(70))]
    assert folder.run("--changes") == 0
    assert folder.read == []


def test_a_deletion_by_a_clock_that_was_ahead_hides_no_image_that_comes_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(folder_plan, "now", lambda: now() + 8 * 3_600_000)
        (folder.photos / "0.png").unlink()
        assert folder.run("--changes") == 0  # nothing is embedded: the deletion alone has that time
    assert "0.png" not in folder.found()
    folder.put("0.png", 90)
    assert folder.run("--changes") == 0
    assert folder.found()["0.png"] == pytest.approx(vector(90))


def test_a_vector_by_a_clock_that_was_ahead_hides_no_change(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(folder_plan, "now", lambda: now() + 8 * 3_600_000)
        folder.put("6.png", 6)
        assert folder.run("--changes") == 0  # nothing is deleted: the vector alone has that time
    folder.put("6.png", 60, 1_700_000_001)
    assert folder.run("--changes") == 0
    assert folder.found()["6.png"] == pytest.approx(vector(60))


def test_a_run_of_all_images_counts_behind_one_by_a_clock_that_was_ahead(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(folder_plan, "now", lambda: now() + 8 * 3_600_000)
        assert folder.run("--run", "ahead") == 0
    folder.put("1.png", 101)
    (folder.photos / "3.png").write_bytes(b"no image")
    (folder.output / "runs" / "damaged").mkdir()
    (folder.output / "runs" / "damaged" / "plan.json").write_bytes(b"null")  # of which nobody can say when it was
    assert folder.run("--run", "second") == 3
    found = folder.found()
    assert sorted(found) == [f"{number}.png" for number in (0, 1, 2, 4, 5)]
    assert found["1.png"] == pytest.approx(vector(101))


@pytest.mark.parametrize("model", ["0123456789ab", None])
def test_what_a_search_does_not_find_is_embedded_whichever_bundle_recorded_its_deletion(
    folder: Folder, model: str | None
) -> None:
    """An image that was removed while another bundle was used, and came back as it was; and one of a bucket."""
    [vectors] = folder.output.glob("vectors/*/*")
    (vectors / ".DS_Store").touch()
    seen = int(json.loads(next(folder.output.glob("runs/*/plan/*/*.jsonl")).read_text().splitlines()[0])["seen_at"])
    gone = [{"bucket": bucket, "key": key, "seen_at": seen} for bucket, key in (("", "0.png"), ("photos", "1.png"))]
    name = f"deletions/{f'model={model}' if model else vectors.parent.name}/run=june/one.jsonl"
    Directory(folder.output).write(name, json_lines(gone))
    assert "0.png" not in folder.found()

    assert folder.run("--changes") == 0
    assert folder.read == ["0.png"]
    assert folder.found()["0.png"] == pytest.approx(vector(0))


def test_other_settings_of_vectors_embed_all_anew(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLIP_EXIF_ORIENTATION", "true")
    assert folder.run("--changes") == 0
    assert len(folder.read) == 6


def test_a_folder_without_any_image_takes_nothing_away(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """As where a drive is not mounted."""
    before = folder.found()
    for path in folder.photos.iterdir():
        path.unlink()
    assert folder.run("--changes") == 1
    assert "photos has no image, and 6 images of it had been embedded: see that its drive" in capsys.readouterr().err
    assert folder.found() == before


def test_without_a_run_before_there_are_no_changes(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.run("--changes", "--output", f"{folder.output}-2") == 1
    assert "has no run of this folder: the first one is without --changes" in capsys.readouterr().err


def test_the_same_command_tells_what_it_does_not_embed(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    said = "the folder has changed since this run was planned"
    assert folder.run() == 0
    assert said not in capsys.readouterr().err
    folder.put("new.png", 100)
    folder.put("1.png", 101)
    (folder.photos / "4.png").unlink()
    assert folder.run() == 0
    assert folder.read == []
    assert f"{said} (1 new, 1 changed, 1 gone): when it is done, the same command with --changes" in (
        capsys.readouterr().err
    )


def test_a_plan_of_an_earlier_version_is_not_compared(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = folder.output.glob("runs/local/plan/*/00000000.jsonl")
    path.write_text(path.read_text().replace('"modified"', '"other"'))
    folder.put("new.png", 100)
    assert folder.run() == 0
    assert "has changed" not in capsys.readouterr().err


def test_a_file_of_vectors_that_cannot_be_read_is_named(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = folder.output.glob("vectors/*/*/*.parquet")
    path.write_bytes(path.read_bytes()[:-8])
    assert folder.run("--changes") == 1
    told = capsys.readouterr().err
    assert f"{path.relative_to(folder.output)} of the output: no Parquet file, or not all of one" in told
    assert "no batch wrote it, or it is damaged: move it out of vectors/, or restore it" in told


def test_what_macos_writes_beside_a_file_is_no_file_of_a_batch(folder: Folder) -> None:
    """As on a drive of another system: its notes (AppleDouble), under the same name behind `._`."""
    (folder.photos / "0.png").unlink()
    assert folder.run("--changes") == 0
    for path in [path for path in folder.output.rglob("*") if path.is_file()]:
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    folder.put("new.png", 9)
    assert folder.run("--changes") == 0
    assert folder.read == ["new.png"]
