"""`python -m handler.batch`: a folder on this machine, with the demo bundle's place taken by the fake one."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from handler.batch import command
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
        (["photos", "--output", "out", "--run", "arrivals"], "not arrivals"),  # the changes of a bucket lie there
        (["photos", "--output", "out", "--shard-size", "0"], "no whole number above 0"),
        (["photos"], "--output"),
        (["photos", "--output", ""], "argument --output: an empty name is no folder"),
        (["", "--output", "out"], "argument source: an empty name is no folder"),
        (["photos", "--output", "s3://bucket/out"], "argument --output: 's3://bucket/out' is an address"),
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
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}


def test_a_share_that_is_none_and_a_run_of_another_folder_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = photos(tmp_path / "photos"), tmp_path / "out"
    assert command.main([str(source), "--output", str(output), "--max-failed", "2"]) == 1
    assert "set it to a number from 0 to 1" in capsys.readouterr().err
    plan(source, Directory(output), "local", 2)
    other = photos(tmp_path / "other")
    for run in ("local", "second"):  # a search would find one of two images that have one name below their folders
        assert command.main([str(other), "--output", str(output), "--run", run]) == 1
        assert f"out has the images of {source}" in (said := capsys.readouterr().err)
        assert "Give another --output" in said
    assert not (output / "runs" / "second").exists()


def test_a_folder_may_lie_beside_what_came_from_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_bucket = {"shards": 1, "images": 1, "left_out": 0, "links": 0, "source": "s3://photos/2026/"}
    Directory(tmp_path / "out").write("runs/first/plan.json", json.dumps(of_bucket).encode())
    Directory(tmp_path / "out").write("runs/other/plan.json", b"no plan")
    done(photos(tmp_path / "photos"), tmp_path / "out", monkeypatch, [])
    assert (tmp_path / "out" / "runs" / "local" / "plan.json").exists()


@pytest.mark.parametrize(("formats", "images"), [((), 1), (("heic",), 2), (("avif", "heic"), 3)])
def test_what_the_bundle_decodes_besides_is_planned_too(tmp_path: Path, formats: tuple[str, ...], images: int) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("a.jpg", "b.HEIC", "c.avif", "d.tif"):
        (source / name).write_bytes(b"1")
    found = plan(source, Directory(tmp_path / "output"), "run", 10, lambda: formats)
    assert (found["images"], found["left_out"]) == (images, 4 - images)


def test_images_that_the_bundle_does_not_decode_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of an iPhone, whose folder would be "0 images"."""
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("IMG_1.HEIC", "IMG_2.heic", "._IMG_1.HEIC", "scan.tif", "old.jfif", "notes.txt"):
        (source / name).write_bytes(png(1))
    for _ in range(2):
        done(source, tmp_path / "out", monkeypatch, [])
        said = capsys.readouterr().out
        assert (
            "1 image in 1 shard; 5 other files left out\nnot decoded by this bundle, and left out: 2 .heic, 1 .tif: "
            in said
        )
        assert 'convert them to JPEG, PNG or WebP, or build with image_formats = ["heic"] in [target]' in said
    (source / "IMG_1.HEIC").unlink()
    (source / "IMG_2.heic").unlink()
    done(source, tmp_path / "other", monkeypatch, [])
    assert capsys.readouterr().out.endswith(
        "left out: 1 .tif: convert them to JPEG, PNG or WebP\n0 embedded, 0 failed, "
        "0 shards were done before, 0 shards failed; 0.0 s; results in " + str(tmp_path / "other") + "\n"
    )


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"shards": "a", "images": 1, "left_out": 0, "source": ""}']
)
def test_a_summary_that_is_none_is_told(tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    source = photos(tmp_path / "photos")
    Directory(tmp_path / "out").write("runs/local/plan.json", damage)
    assert command.main([str(source), "--output", str(tmp_path / "out")]) == 1
    assert "runs/local/plan.json of the output is no plan of a folder: give another --run" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = photos(tmp_path / "photos"), tmp_path / "file"
    output.write_bytes(b"")
    monkeypatch.setattr(command, "_image_formats", tuple)
    assert command.main([str(source), "--output", str(output)]) == 1
    assert f"Not a directory: see that {output} can be written and has room" in capsys.readouterr().err


def done(source: Path, output: Path, monkeypatch: pytest.MonkeyPatch, outcomes: list[dict[str, Any]]) -> int:
    """Run the command; the shards' outcomes are given."""
    monkeypatch.setattr(command, "_image_formats", tuple)
    monkeypatch.setattr(command, "outcomes", lambda *_: (one for one in outcomes))
    return command.main([str(source), "--output", str(output)])


def test_a_run_that_has_nothing_left_to_do_still_tells_what_failed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/collections.md: the status is 0 when every image was embedded, 3 when some failed."""
    before = [{"shard": "00000000", "skipped": True, "failed_before": 2}]
    assert done(photos(tmp_path / "photos"), tmp_path / "out", monkeypatch, before) == 3
    assert "1 shard was done before with 2 failed" in capsys.readouterr().out
    assert done(tmp_path / "photos", tmp_path / "out", monkeypatch, [{"shard": "00000000", "skipped": True}]) == 0


def test_a_folder_is_the_same_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = photos(tmp_path / "photos")
    (tmp_path / "link").symlink_to(source)
    assert [done(path, tmp_path / "out", monkeypatch, []) for path in (
        source, source / "sub" / "..", tmp_path / "link", photos(tmp_path / "other"))] == [0, 0, 0, 1]  # fmt: skip


def test_a_folder_whose_own_name_is_not_utf_8_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = photos(tmp_path / b"photos\xff".decode(errors="surrogateescape"))
    assert [done(source, tmp_path / "out", monkeypatch, []) for _ in range(2)] == [0, 0]
    strict = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")  # as where the locale is UTF-8
    monkeypatch.setattr("sys.stdout", strict)
    assert done(source, source, monkeypatch, []) == 0
    assert source.name.encode(errors="surrogateescape") == b"photos\xff"
