"""A folder as people have it: whatever lies in it, each good image becomes a row, and each bad one is named."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from openclip_lambda import formats
from openclip_lambda.bulk import files
from openclip_lambda.bulk.inputs import Inputs

from handler.errors import ImageError
from handler.imaging import decode
from tests.unit.client.conftest import Run, rows, skipped
from tests.unit.fake_bundle import FakeFunction, image_bytes

JPEG = image_bytes(kind="JPEG", size=(64, 64))
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


FILES = {
    "truncated.jpg": (JPEG[:200], "ends early or is damaged"),
    "._good.jpg": (b"\0\5\x16\7" + bytes(100), "AppleDouble"),
    "empty.jpg": (b"", "it is empty"),
    "text.png": (b"no image", "do not start like any of"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "iphone.heic": (HEIC, "it is damaged"),
    "named.jpg": (HEIC, "it is damaged"),
    "web.avif": (b"\0\0\0\x18ftypavif", "it is damaged"),
    "scan.tif": (b"II*\0\x08\0\0\0", "it is damaged"),
    "raw.CR2": (b"II*\0\x10\0\0\0CR", "camera raw is not supported"),
    "clip.mov": (b"\0\0\0\x14ftypqt  ", "video is not supported"),
    "clip.avi": (b"RIFF\0\0\0\0AVI ", "video is not supported"),
}


@pytest.mark.parametrize("size", [1, 16])
def test_a_bad_file_costs_itself_alone(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for name, (data, _) in FILES.items():
        (album / name).write_bytes(data)
    for name in ("a.jpg", "z.jpg"):
        (album / name).write_bytes(JPEG)
    (album / "mislabeled.heic").write_bytes(JPEG)  # what it is counts, not its name
    (album / "notes.txt").write_text("no image by its name: counted, not sent")

    assert run("embed", album, "--batch", size, "--output", tmp_path / "out.json") == 3

    assert [Path(row["name"]).name for row in rows(tmp_path / "out.json")] == ["a.jpg", "mislabeled.heic", "z.jpg"]
    error = capsys.readouterr().err
    for name, (_, reason) in FILES.items():
        assert any(f"/{name}: " in line and reason in line for line in error.splitlines()), (name, error)
    assert "not looked at, since their names are not those of images: 1 .txt" in error
    assert f"3 of 15 done, {len(FILES)} skipped: results are in" in error


def test_what_is_no_regular_file_is_named_and_nothing_waits_for_it(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    album = tmp_path / "album"
    (album / "directory.jpg").mkdir(parents=True)
    (album / "directory.jpg" / "inside.jpg").write_bytes(JPEG)
    os.mkfifo(album / "pipe.jpg")
    monkeypatch.chdir(album)  # the path of a socket is at most 107 characters
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
    links = {
        "device.jpg": "/dev/zero",
        "broken.jpg": "nowhere",
        "loop.jpg": "loop.jpg",
        "again": "..",
        "linked.png": "directory.jpg/inside.jpg",
    }
    for name, target in links.items():
        (album / name).symlink_to(target)
    with (album / "huge.jpg").open("wb") as file:
        file.write(JPEG)
        file.truncate(5_000_000_000)  # sparse: it takes no room, and must not be read

    assert run("embed", album, "--output", tmp_path / "out.json") == 3

    assert [Path(row["name"]).name for row in rows(tmp_path / "out.json")] == ["inside.jpg", "linked.png"]
    assert skipped(capsys) == {
        "pipe.jpg": "it is a named pipe, no file",
        "socket.jpg": "it is a socket, no file",
        "device.jpg": "it is a device, no file",
        "broken.jpg": "it cannot be read: No such file or directory",
        "loop.jpg": "it cannot be read: Too many levels of symbolic links",
        "huge.jpg": str(files.too_large(5_000_000_000)),
    }


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_a_file_that_cannot_be_read_to_its_end_is_skipped(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "io.jpg").symlink_to("/proc/self/mem")  # reading it is an input/output error, whoever reads
    (tmp_path / "good.jpg").write_bytes(JPEG)

    assert run("embed", tmp_path / "io.jpg", tmp_path / "good.jpg") == 3
    assert skipped(capsys) == {"io.jpg": "it cannot be read: Input/output error"}


def test_a_file_that_vanishes_after_it_was_listed_is_skipped(
    run: Run,
    function: FakeFunction,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(JPEG)
    invoke = function.invoke

    def remove(event: Any) -> Any:
        (tmp_path / "c.jpg").unlink(missing_ok=True)
        return invoke(event)

    monkeypatch.setattr(function, "invoke", remove)
    names = [tmp_path / f"{name}.jpg" for name in "abc"]

    assert run("embed", *names, "--batch", 1, "--jobs", 1, "--output", tmp_path / "out.json") == 3
    assert len(rows(tmp_path / "out.json")) == 2
    assert list(skipped(capsys)) == ["c.jpg"]


def test_when_nothing_becomes_a_result_nothing_is_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(JPEG[:200])
    (tmp_path / "out.npy").write_bytes(b"an earlier run's")

    assert (
        run("embed", tmp_path / "bad.jpg", tmp_path, "https://example.com/a.jpg", "--output", tmp_path / "out.npy") == 1
    )
    assert (tmp_path / "out.npy").read_bytes() == b"an earlier run's"
    assert not (tmp_path / "out.names.json").exists()
    assert not list(tmp_path.glob(".openclip*"))


def test_an_empty_directory_beside_a_full_one_is_named(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run("embed", tmp_path / "empty", "--text", "a") == 3
    assert skipped(capsys) == {"empty": "it is a directory without an image in it"}


def test_a_text_that_the_api_refuses_costs_itself_alone(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ("--text", "a", "--text", "", "--text", "b" * 10_001, "--text", "\udce9", "--text", "c")

    assert run("embed", *texts, "--output", tmp_path / "out.json") == 3
    assert [row["name"] for row in rows(tmp_path / "out.json")] == ["a", "c"]
    assert "skipped \\udce9: input[" in capsys.readouterr().err


@pytest.mark.parametrize("kind", decode.FORMATS)
def test_what_the_api_takes_is_never_refused_by_its_first_bytes(kind: str) -> None:
    data = image_bytes(kind=kind)
    assert formats.why_not("a.heic", data[: formats.HEAD_BYTES]) is None


@pytest.mark.parametrize("start", list(formats.OTHER_STARTS))
def test_what_is_refused_by_its_first_bytes_the_api_refuses_too(start: bytes) -> None:
    with pytest.raises(ImageError):
        decode.read_header(start + bytes(64), 1000)


@pytest.mark.parametrize("size", [30, 100_000])
def test_on_the_command_line_a_data_uri_has_to_become_a_file(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    uri = "data:image/png;base64," + "A" * size
    (tmp_path / "good.jpg").write_bytes(JPEG)
    assert run("embed", tmp_path / "good.jpg", uri, "--output", tmp_path / "out.npy") == 3
    assert run("search", tmp_path / "out.npy", "--image", uri) == 1
    error = capsys.readouterr().err
    assert error.count("it is a data URI: save it as a file, and name that") == 2


def test_a_plain_name_is_not_looked_up_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    monkeypatch.setattr("os.path.lexists", looked_up.append)
    names = ["a.jpg", "b/c.png"]
    assert [source.name for source in Inputs([*names, "https://example.com/a.jpg"])][:2] == names
    assert looked_up == ["https://example.com/a.jpg"]
