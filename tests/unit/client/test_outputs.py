"""Where results go: nothing of the user's is replaced, and every name comes back as it was."""

import csv
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from openclip_lambda.bulk import tables

from tests.unit.client.conftest import Recorder, Run, Scripted, python, result
from tests.unit.fake_bundle import image_bytes


def test_the_names_of_an_array_never_replace_a_file_of_somebody_else(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = {"captions.txt": "my captions", "captions.names.json": '["mine"]', "captions.names.txt": "mine"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)

    assert run("embed", "--text", "a", "--output", tmp_path / "captions.npy") == 1
    assert "captions.names.json, which was not made by this client: move it" in capsys.readouterr().err
    assert Recorder.seen == []
    assert {name: (tmp_path / name).read_text() for name in mine} == mine
    assert not (tmp_path / "captions.npy").exists()


def test_a_run_replaces_the_results_of_the_one_before_with_their_names(run: Run, tmp_path: Path) -> None:
    assert run("embed", "--text", "a", "--text", "b", "--output", tmp_path / "out.npy") == 0
    (tmp_path / "out.npy").chmod(0o640)
    assert run("embed", "--text", "c", "--output", tmp_path / "out.npy") == 0

    assert np.load(tmp_path / "out.npy").tolist() == [[0, 0, 1, 0]]
    assert json.loads((tmp_path / "out.names.json").read_text())["names"] == ["c"]
    assert stat.S_IMODE((tmp_path / "out.npy").stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out.names.json", "out.npy"]


@pytest.mark.parametrize("name", ["out.json", "link.json", "hard.json", "directory/../out.json"])
def test_an_input_is_never_replaced(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "out.json").write_bytes(image_bytes())
    (tmp_path / "link.json").symlink_to("out.json")
    (tmp_path / "hard.json").hardlink_to(tmp_path / "out.json")

    assert run("embed", tmp_path / "out.json", "--output", tmp_path / name) == 1
    assert f"--output would replace the input {tmp_path / 'out.json'}" in capsys.readouterr().err
    assert (tmp_path / "out.json").read_bytes() == image_bytes()
    assert Recorder.seen == []


def test_an_image_of_a_directory_is_not_replaced_through_a_link(run: Run, tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    (tmp_path / "out.json").write_bytes(image_bytes())
    (tmp_path / "album" / "a.png").symlink_to("../out.json")

    assert run("embed", tmp_path / "album", "--output", tmp_path / "out.json") == 1
    assert (tmp_path / "out.json").read_bytes() == image_bytes()


def test_a_link_to_the_output_stays_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "out.json").symlink_to("there/real.json")  # which is not there yet

    assert run("embed", "--text", "a", "--output", tmp_path / "out.json") == 0
    assert (tmp_path / "out.json").is_symlink()
    assert json.loads((tmp_path / "there" / "real.json").read_text())[0]["name"] == "a"


def test_what_cannot_be_written_is_reported_before_the_first_request(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "directory.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "device.json").symlink_to("/dev/full")
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "file").write_bytes(b"")
    names = {
        "directory.json": "is no file",
        "pipe.json": "is no file",
        "device.json": "is no file",
        "loop.json": "leads to itself",
        "file/out.json": "there is no directory",
        "nowhere/out.json": "there is no directory",
        "/dev/stdout": "no ending that is known here",
        "/proc/out.json": "cannot be written",
        "out.txt": "no ending that is known here: .json, .jsonl, .npy, .csv, .parquet",
        "x" * 300 + ".json": "cannot be written: File name too long",
    }
    for name, says in names.items():
        assert run("embed", "--text", "a", "--output", tmp_path / name) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: "), (name, error)
        assert says in error, (name, error)
    assert Recorder.seen == []


NAMES = {b"caf\xe9.png": "caf\udce9.png", b"two\nlines.png": "two\nlines.png", b'com,ma"quote.png': 'com,ma"quote.png'}


@pytest.mark.parametrize("suffix", [".json", ".csv", ".npy", ""])
def test_every_file_name_comes_back_as_it_is_on_disk(
    run: Run, tmp_path: Path, suffix: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    album = os.fsencode(tmp_path / "album")
    os.mkdir(album)  # noqa: PTH102 - names are bytes here
    for name in (*NAMES, "图.png".encode()):
        with open(album + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(image_bytes())
    out = tmp_path / f"out{suffix}"

    assert run("embed", os.fsdecode(album), *(("--output", out) if suffix else ())) == 0

    if suffix == ".csv":
        with out.open(encoding="utf-8", newline="") as file:
            found = [row[0] for row in csv.reader(file)][1:]
        assert b"caf\\udce9.png" in [name.encode().rpartition(b"/")[2] for name in found]  # escaped, as in JSON
        found = [name.replace("\\udce9", "\udce9") for name in found]
    elif suffix == ".npy":
        found = json.loads((tmp_path / "out.names.json").read_text(encoding="utf-8"))["names"]
    else:
        text = out.read_text(encoding="utf-8") if suffix else capfdbinary.readouterr().out.decode("utf-8")
        found = [row["name"] for row in (json.loads(text) if suffix else map(json.loads, text.splitlines()))]
    assert {os.fsencode(name).rpartition(b"/")[2] for name in found} == {*NAMES, "图.png".encode()}


def test_a_file_name_cannot_write_to_the_terminal(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "\x1b]0;owned\x07.png").write_bytes(b"")
    assert run("embed", tmp_path) == 1
    assert "\\x1b]0;owned\\x07.png: it is empty" in capsys.readouterr().err


def test_lines_are_utf_8_whatever_the_locale(scripted: Scripted) -> None:
    scripted.answer = result()
    process = python("embed", "--text", "é图", "--url", scripted.url, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    output, _ = process.communicate(timeout=120)
    assert json.loads(output.decode("utf-8"))["name"] == "é图"


def test_an_array_grows_under_one_header() -> None:
    row = {"name": "a", "embedding": [0.0] * 512}
    lengths = {len(tables.Npy().head(row, count)) for count in (1, 10, 10**6, 10**12)}
    assert len(lengths) == 1
