"""What `python -m handler.batch` tells: what a run leaves out, and how to go on with it."""

import re
from pathlib import Path
from typing import Any

import pytest

from handler.batch import command
from handler.batch.changes import Changes
from handler.batch.folder_plan import Since
from tests.unit.batch_world import png
from tests.unit.handler.batch.test_folder import done, photos


def test_images_whose_names_are_not_utf_8_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of an archive from a Chinese Windows: 照片/1.jpg in GBK."""
    source = photos(tmp_path / "photos")
    folder = source / "照片".encode("gbk").decode(errors="surrogateescape")
    folder.mkdir()
    for name in ("1.jpg", "2.jpg", ".hidden.jpg", "notes.txt"):
        (folder / name).write_bytes(png(1))
    for _ in range(2):
        done(source, tmp_path / "out", monkeypatch, [])
        assert "3 images left out for a name that is not UTF-8" in capsys.readouterr().err
    done(folder, tmp_path / "other", monkeypatch, [])  # names below the folder count
    assert "not UTF-8" not in capsys.readouterr().err


def test_links_to_directories_are_not_followed_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, other = photos(tmp_path / "photos"), photos(tmp_path / "other")
    (source / "2026").symlink_to(other)
    (source / "sub" / "up").symlink_to("..")
    for _ in range(2):
        done(source, tmp_path / "out", monkeypatch, [])
        assert "2 links to a directory not followed: " in capsys.readouterr().err
    done(other, tmp_path / "without", monkeypatch, [])
    assert "not followed" not in capsys.readouterr().err


@pytest.mark.parametrize("ends", ["interrupted", "stopped early"])
def test_how_to_go_on_with_a_run_of_changes_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ends: str
) -> None:
    """The same command alone begins another run, which embeds again what the parts of this one have."""
    source, output = photos(tmp_path / "photos"), tmp_path / "out"
    done(source, output, monkeypatch, [])
    capsys.readouterr()
    monkeypatch.setattr(command, "_since", lambda *_: Since(Changes({}), "deletions/"))
    given: list[list[str]] = []

    def outcomes(names: list[str], *_: Any) -> Any:
        given.append(names)
        if ends == "interrupted":
            raise KeyboardInterrupt
        yield {"error": "it failed"}

    monkeypatch.setattr(command, "outcomes", outcomes)
    arguments = [str(source), "--output", str(output), "--changes"]
    command.main(arguments)
    said = capsys.readouterr().err
    assert ends in said
    (name,) = re.findall(r"the same command with (--run \S+) goes on", said)
    command.main([*arguments, *name.split()])
    assert given[1] == given[0]
    command.main(arguments)
    assert given[2] != given[0]
