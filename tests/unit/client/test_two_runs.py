"""Two runs of one output at once: the second is refused, and takes nothing of the first."""

import json
import threading
from pathlib import Path

import pytest
from openclip_lambda.bulk import file_lock
from openclip_lambda.bulk.journal import Journal, journal_path
from openclip_lambda.cli import main as cli
from openclip_lambda.errors import OutputError

from tests.patience import SECONDS
from tests.unit.client.conftest import Scripted, python, texts


def test_a_run_beside_another_of_the_same_output_is_refused_and_the_first_is_complete(
    scripted: Scripted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second_asked, go_on = threading.Event(), threading.Event()

    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if len(scripted.requests) == 2:
            second_asked.set()
            assert go_on.wait(SECONDS)
        data = [{"index": index, "embedding": [1.0]} for index in range(len(json.loads(body)["input"]))]
        return 200, {}, json.dumps({"data": data, "model": "m"}).encode()

    scripted.answer = answer
    out = tmp_path / "out.jsonl"
    arguments = ["embed", *texts(4), "--batch", "2", "--url", scripted.url, "--output", str(out)]
    first = python(*arguments)
    assert second_asked.wait(SECONDS)
    for more in ([], ["--resume"]):  # whoever is told of a journal tries that next
        assert cli.main([*arguments, *more]) == 1
        told = capsys.readouterr().err
        assert f"another run writes to {out} now" in told
        assert "wait for it, or give another --output" in told
    go_on.set()
    first.communicate(timeout=SECONDS)
    assert first.returncode == 0
    assert [json.loads(line)["name"] for line in out.read_text().splitlines()] == [f"text {n}" for n in range(4)]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_journal_that_its_run_removes_just_then_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file without a name would keep nobody out, and its results would be lost."""
    out = tmp_path / "out.jsonl"
    journal_path(out).write_text("")
    take = file_lock._take

    def removed_before(file: object, path: Path) -> None:
        monkeypatch.setattr(file_lock, "_take", take)
        path.unlink()

    monkeypatch.setattr(file_lock, "_take", removed_before)
    journal = Journal(out, {}, resume=True, scratch=[])
    assert journal_path(out).read_bytes().startswith(b'{"openclip_lambda"')
    with pytest.raises(OutputError, match="another run writes"):
        Journal(out, {}, resume=True, scratch=[])
    journal.close(complete=True)
    assert not journal_path(out).exists()


def test_a_journal_that_is_refused_is_free_for_the_next_run(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    journal_path(out).write_text("")
    with pytest.raises(OutputError, match="give --resume"):
        Journal(out, {}, resume=False, scratch=[])
    Journal(out, {}, resume=True, scratch=[]).close(complete=True)


def test_a_file_system_without_locks_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(file_lock, "_lock", none)
    Journal(tmp_path / "out.jsonl", {}, resume=False, scratch=[]).close(complete=True)
    assert f"{tmp_path} has no locks (Operation not supported)" in capsys.readouterr().err


def test_a_link_that_leads_nowhere_is_refused_and_not_tried_for_ever(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    journal_path(out).symlink_to(tmp_path / "nowhere" / "else")
    with pytest.raises(OutputError, match="cannot be written"):
        Journal(out, {}, resume=True, scratch=[])
