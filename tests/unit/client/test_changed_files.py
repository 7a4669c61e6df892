"""Files that change between two looks of a resumed run: no result is kept under the content of another."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from openclip_lambda.bulk import files
from openclip_lambda.errors import InputError

from tests.unit.client.conftest import Recorder, Run, skipped
from tests.unit.fake_bundle import image_bytes

RED, GREEN = image_bytes((255, 0, 0)), image_bytes((0, 255, 0))


def gone() -> bytes:
    raise InputError("it cannot be read: No such file or directory")


@pytest.fixture
def resumed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bytes]], int]:
    """Return a run that goes on with two files of one content, of which the journal has one, and fails at a third."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(RED)
    arguments = ["embed", tmp_path / "a.png", tmp_path / "b.png", "--batch", 1, "--output", tmp_path / "out.json"]
    Recorder.refusals[:] = [0, 403]
    assert run(*arguments) == 3
    read, looks = files.read_image, list[str]()

    def second_look(second: Callable[[], bytes]) -> Callable[[str], bytes]:
        def look(path: str) -> bytes:
            looks.append(path)
            return second() if looks.count(path) == 2 else read(path)

        return look

    def go_on(second: Callable[[], bytes]) -> int:
        (tmp_path / "c.png").write_bytes(image_bytes((0, 0, 255)))
        monkeypatch.setattr(files, "read_image", second_look(second))
        Recorder.refusals[:] = [0, 403] if second is not gone else [403]
        return run(*arguments[:3], tmp_path / "c.png", *arguments[3:], "--resume")

    return go_on


def kept(journal: Path) -> set[str]:
    """The contents that have a result, by their sha256."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return {key[:64] for line in lines for key, _, _ in line.get("items", ())}


def test_a_result_is_kept_under_the_content_that_was_sent(
    resumed: Callable[[Callable[[], bytes]], int], tmp_path: Path
) -> None:
    assert resumed(lambda: GREEN) == 3
    assert kept(tmp_path / "out.json.resume") == {hashlib.sha256(data).hexdigest() for data in (RED, GREEN)}


def test_a_file_that_is_gone_is_skipped_with_that_reason(
    resumed: Callable[[Callable[[], bytes]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert resumed(gone) == 3
    assert skipped(capsys) == {"b.png": "it cannot be read: No such file or directory"}
    assert Recorder.refusals == []
