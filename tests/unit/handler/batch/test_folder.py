"""`python -m handler.batch`: a folder on this machine, with the demo bundle's place taken by the fake one."""

import json
from pathlib import Path

import pytest

from handler.batch import __main__ as command
from handler.batch.folder_plan import plan
from handler.batch.store import Directory
from tests.unit.batch_world import png


def photos(root: Path) -> Path:
    for name in ("b.png", "a.JPG", "sub/c.webp", ".hidden.png", "._a.png", "notes.txt", "中 文.gif"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(1))
    (root / b"\xff.png".decode(errors="surrogateescape")).write_bytes(png(1))
    return root


def test_a_folder_is_planned_once_in_the_order_of_names(tmp_path: Path) -> None:
    source, store = photos(tmp_path / "photos"), Directory(tmp_path / "out")
    found = plan(source, store, "local", 2)
    rows = [json.loads(line)["key"] for number in range(2) for line in
            store.read(f"{found['prefix']}{number:08d}.jsonl").splitlines()]  # fmt: skip
    assert rows == ["a.JPG", "b.png", "中 文.gif", "sub/c.webp"]
    assert (found["images"], found["shards"], found["left_out"]) == (4, 2, 4)

    (source / "later.png").write_bytes(png(2))
    assert plan(source, store, "local", 2) == found


def test_what_a_killed_listing_wrote_is_removed_by_the_next_one(tmp_path: Path) -> None:
    source, output = photos(tmp_path / "photos"), tmp_path / "out"
    for name in ("00000000.jsonl", "00000001.jsonl", ".writing-x"):
        (output / "runs" / "local" / "plan" / "0123abcd" / name).parent.mkdir(parents=True, exist_ok=True)
        (output / "runs" / "local" / "plan" / "0123abcd" / name).write_bytes(b"")
    found = plan(source, Directory(output), "local", 2)
    assert [path.name for path in (output / "runs" / "local" / "plan").iterdir()] == [Path(found["prefix"]).name]

    (output / "runs" / "local" / "plan" / "4567cdef").mkdir()  # its listing was slower, and killed before it knew
    assert plan(source, Directory(output), "local", 2) == found
    written = {path.relative_to(output / found["prefix"]).as_posix() for path in output.rglob("*.jsonl")}
    assert written == {"00000000.jsonl", "00000001.jsonl"}
    assert not (output / "runs" / "local" / "plan" / "4567cdef").exists()


def test_the_slower_of_two_listings_removes_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, store = photos(tmp_path / "photos"), Directory(tmp_path / "out")
    write_once, faster = store.write_once, {}

    def meanwhile(name: str, data: bytes) -> bool:
        monkeypatch.setattr(store, "write_once", write_once)
        faster.update(plan(source, Directory(tmp_path / "out"), "local", 1))
        return write_once(name, data)

    monkeypatch.setattr(store, "write_once", meanwhile)
    assert plan(source, store, "local", 2) == faster
    assert {path.parent for path in (tmp_path / "out").rglob("*.jsonl")} == {tmp_path / "out" / faster["prefix"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "--output", "out"], "nowhere is not a directory"),
        (["photos", "--output", "out", "--run", "a/b"], "--run 'a/b'"),
        (["photos", "--output", "out", "--shard-size", "0"], "no whole number above 0"),
        (["photos"], "--output"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_written(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_share_that_is_none_and_a_run_of_another_folder_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = photos(tmp_path / "photos"), tmp_path / "out"
    assert command.main([str(source), "--output", str(output), "--max-failed", "2"]) == 1
    assert "set it to a number from 0 to 1" in capsys.readouterr().err
    plan(source, Directory(output), "local", 2)
    other = photos(tmp_path / "other")
    assert command.main([str(other), "--output", str(output)]) == 1
    assert "give another --run" in capsys.readouterr().err


@pytest.mark.parametrize(("formats", "images"), [((), 1), (("heic",), 2), (("avif", "heic"), 3)])
def test_what_the_bundle_decodes_besides_is_planned_too(tmp_path: Path, formats: tuple[str, ...], images: int) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("a.jpg", "b.HEIC", "c.avif", "d.tif"):
        (source / name).write_bytes(b"1")
    found = plan(source, Directory(tmp_path / "output"), "run", 10, lambda: formats)
    assert (found["images"], found["left_out"]) == (images, 4 - images)
