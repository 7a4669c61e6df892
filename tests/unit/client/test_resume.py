"""A run that was killed goes on from its complete requests, and its output is the same, byte for byte."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openclip_lambda.cli import main as cli

from tests.unit.client.conftest import Recorder, Run, Scripted, python, scripting, texts


class Batched(Scripted):
    """Gives each text numbers that depend on the whole request, as an engine's last bits do; counts what came."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[list[str]] = []
        self.lock = threading.Lock()
        self.kill: Any = None  # a process, and after how many requests it is killed
        self.refused = ""
        self.answer = self.respond

    def respond(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        found = [item["text"] for item in json.loads(body)["input"]]
        with self.lock:
            self.sent.append(found)
            if self.kill and len(self.sent) == self.kill[1]:
                self.kill[0].kill()
        if self.refused in found and self.refused:
            error = {"message": "no", "code": "text_refused", "param": f"input[{found.index(self.refused)}]"}
            return 400, {}, json.dumps({"error": error}).encode()
        seed = hashlib.sha256(json.dumps(found).encode()).digest()[:16]
        data = []
        for index, text in enumerate(found):
            numbers = np.frombuffer(seed + hashlib.sha256(text.encode()).digest()[:16], np.uint8).astype("<f4") / 255
            data.append({"index": index, "embedding": base64.b64encode(numbers.tobytes()).decode()})
        return 200, {"x-openclip-manifest": "f" * 64}, json.dumps({"data": data, "model": "m"}).encode()


@pytest.fixture
def batched() -> Iterator[Batched]:
    yield from scripting(Batched())  # type: ignore[misc]


@pytest.mark.parametrize(
    ("suffix", "jobs"), [(".npy", 1), (".npy", 4), (".jsonl", 1), (".json", 4), (".csv", 4), (".parquet", 4)]
)
def test_killed_three_times_and_resumed_it_writes_the_same_bytes(
    batched: Batched, tmp_path: Path, suffix: str, jobs: int
) -> None:
    batched.refused = "text 33"
    arguments = ["embed", *texts(100), "--text", "text 7", "--batch", "5", "--jobs", str(jobs), "--url", batched.url]
    whole = tmp_path / "whole" / f"out{suffix}"
    whole.parent.mkdir()
    assert cli.main([*arguments, "--output", str(whole)]) == 3
    batched.sent.clear()

    out = tmp_path / f"out{suffix}"
    for _ in range(3):
        with batched.lock:  # no request is counted before it is known which one is the last
            process = python(*arguments, "--output", out, "--resume")
            batched.kill = process, len(batched.sent) + 6
        process.communicate(timeout=120)
        assert process.returncode == -9
    batched.kill = None
    assert cli.main([*arguments, "--output", str(out), "--resume"]) == 3

    assert {path.name: path.read_bytes() for path in whole.parent.iterdir()} == {
        path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()
    }  # and nothing is left beside it
    requests = [tuple(found) for found in batched.sent]
    beside = {f"text {number}" for number in range(30, 35)}  # a request that is refused is asked in parts, by each run
    again = [found for found in requests if not beside & set(found)]
    assert len(again) - len(set(again)) <= 3 * jobs  # a kill costs what was on its way, one request for each at once
    assert max(requests.count(found) for found in requests) <= 4  # runs


def test_what_is_new_in_a_folder_is_all_that_is_sent(run: Run, tmp_path: Path) -> None:
    Recorder.refusals[:] = [0, 0, 403]
    out = tmp_path / "out.json"
    assert run("embed", *texts(6), "--batch", 2, "--jobs", 1, "--output", out) == 3
    Recorder.lengths.clear()

    assert run("embed", "--text", "new", *texts(6), "--batch", 1, "--jobs", 1, "--output", out, "--resume") == 0
    assert len(Recorder.lengths) == 3  # the new one, and the two that were not sent
    assert [row["name"] for row in json.loads(out.read_text())] == ["new", *(f"text {number}" for number in range(6))]


def test_a_run_is_not_begun_anew_over_results_that_could_be_gone_on_from(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Recorder.refusals[:] = [0, 403]
    out = tmp_path / "out.json"
    assert run("embed", *texts(6), "--batch", 2, "--jobs", 1, "--output", out) == 3
    assert "--resume goes on from there" in capsys.readouterr().err
    Recorder.seen.clear()

    assert run("embed", *texts(6), "--output", out) == 1
    assert "give --resume to go on from them, or remove it" in capsys.readouterr().err
    assert run("embed", *texts(6), "--output", out, "--resume", "--model", "tests/other") == 1
    assert "asked for something else" in capsys.readouterr().err
    assert Recorder.seen == []
    assert not list(tmp_path.glob(".openclip*"))


@pytest.mark.parametrize("damage", [b"no journal\n", b'{"asked": 3}\n', b"{}\n", b'{"items": [[1]]}\n', b"\xff\n"])
def test_a_journal_that_is_none_is_refused_and_kept(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes
) -> None:
    (tmp_path / "out.json.resume").write_bytes(damage)
    assert run("embed", "--text", "a", "--output", tmp_path / "out.json", "--resume") == 1
    assert "remove it" in capsys.readouterr().err
    assert (tmp_path / "out.json.resume").read_bytes() == damage


def test_results_of_another_model_are_not_mixed_in(
    batched: Batched, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.npy"
    arguments = ["embed", *texts(9), "--batch", "3", "--jobs", "1", "--url", batched.url, "--output", str(out)]
    batched.answer = lambda path, body: batched.respond(path, body) if len(batched.sent) < 1 else (403, {}, b"{}")
    assert cli.main(arguments) == 3
    for changed in (b'"model": "another"', None):

        def answer(path: str, body: bytes, changed: bytes | None = changed) -> tuple[int, dict[str, str], bytes]:
            status, headers, content = batched.respond(path, body)
            if changed is None:
                return status, {"x-openclip-manifest": "0" * 64}, content
            return status, headers, content.replace(b'"model": "m"', changed)

        batched.answer = answer
        assert cli.main([*arguments, "--resume"]) == 1 or not out.exists()
        assert "their vectors cannot be compared" in capsys.readouterr().err


def test_without_an_output_there_is_nothing_to_go_on_from(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("embed", "--text", "a", "--resume") == 1
    assert "give that, too" in capsys.readouterr().err
