"""Nothing that was computed is lost: errors, a full disk, Ctrl-C and a closed pipe end a run, not its results."""

import contextlib
import csv
import gc
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openclip_lambda.bulk import tables

from tests.unit.client.conftest import Recorder, Run, Scripted, python, result, texts
from tests.unit.fake_bundle import FakeFunction


@pytest.mark.parametrize("suffix", [".json", ".csv", ".npy"])
def test_what_was_computed_before_an_error_is_written_beside_the_output(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    out.write_bytes(b"the complete results of another run")
    (tmp_path / f"out.partial{suffix}").write_bytes(b"and what was saved of a third")
    Recorder.refusals[:] = [0, 0, 403]  # after two batches the key is no longer taken

    assert run("embed", *texts(10), "--batch", 3, "--jobs", 1, "--output", out) == 3

    saved = tmp_path / f"out.partial-2{suffix}"
    error = capsys.readouterr().err
    assert "answered 403: Forbidden: the credentials are not those of this API" in error
    assert f"6 of 10 done, 0 skipped, 4 not sent: results are in {saved}" in error
    assert out.read_bytes() == b"the complete results of another run"
    assert (tmp_path / f"out.partial{suffix}").read_bytes() == b"and what was saved of a third"
    if suffix == ".npy":
        assert np.load(saved).shape == (6, 4)
        assert len(json.loads(saved.with_suffix(".names.json").read_text())["names"]) == 6
    elif suffix == ".csv":
        assert len(list(csv.reader(saved.open()))) == 7
    else:
        assert [row["name"] for row in json.loads(saved.read_text())] == [f"text {number}" for number in range(6)]
    assert not list(tmp_path.glob(".openclip*"))


@pytest.mark.parametrize("suffix", [".json", ".csv", ".npy"])
def test_a_disk_that_fills_up_keeps_every_complete_row(scripted: Scripted, tmp_path: Path, suffix: str) -> None:
    scripted.answer = result(5_000)
    room = 150_000  # bytes: more than the probe, less than all rows

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    arguments = ("embed", *texts(40), "--batch", "1", "--jobs", "1", "--url", scripted.url)
    process = python(*arguments, "--output", tmp_path / f"out{suffix}", preexec_fn=limit)
    _, error = process.communicate(timeout=120)

    assert process.returncode == 3
    assert b"cannot be written: File too large" in error
    assert b"Traceback" not in error
    saved = tmp_path / f"out.partial{suffix}"
    if suffix == ".npy":
        found = len(np.load(saved))
        assert len(json.loads(saved.with_suffix(".names.json").read_text())["names"]) == found
    elif suffix == ".csv":
        found = len(list(csv.reader(saved.open()))) - 1
    else:
        found = len(json.loads(saved.read_text()))
    assert found == len(scripted.requests) - 1  # all that was paid for, but the row that had no room
    assert found > 2


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_array_and_its_names_stay_of_one_length(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    write = tables.Names.row

    def fail(names: tables.Names, row: tables.Row, place: int) -> bytes:
        if place == 3:
            raise error
        return write(names, row, place)

    monkeypatch.setattr(tables.Names, "row", fail)
    run("embed", *texts(6), "--batch", 2, "--jobs", 1, "--output", tmp_path / "out.npy")

    assert np.load(tmp_path / "out.partial.npy").shape == (2, 4)
    assert json.loads((tmp_path / "out.partial.names.json").read_text())["names"] == ["text 0", "text 1"]


class KilledError(BaseException):
    """Nothing of a run goes on after it."""


@contextlib.contextmanager
def killed_before(step: int, folder: Path) -> Iterator[None]:
    """Let no step that changes names in a directory happen, from this one on."""
    steps = iter(range(100))

    def stopping(real: Any) -> Any:
        def change(path: Path, *rest: Any, **more: Any) -> Any:
            if path.parent == folder and next(steps) >= step:
                raise KilledError
            return real(path, *rest, **more)

        return change

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KilledError):
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, stopping(getattr(Path, name)))
        yield


@pytest.mark.parametrize("step", range(6))
def test_an_array_is_never_beside_the_names_of_another(run: Run, tmp_path: Path, step: int) -> None:
    out = tmp_path / "out.npy"
    assert run("embed", "--text", "a", "--text", "bb", "--output", out) == 0
    before = out.read_bytes()
    again = ("embed", "--text", "c", "--text", "b", "--output", out)
    with killed_before(step, tmp_path):
        run(*again)
    gc.collect()  # a process that was killed has no file open, and so no lock

    names = json.loads((tmp_path / "out.names.json").read_text())["names"]
    if out.exists():
        assert (names == ["a", "bb"]) == (out.read_bytes() == before)
    if (tmp_path / "out.npy.resume").exists():
        assert run(*again, "--resume") == 0
    assert json.loads((tmp_path / "out.names.json").read_text())["names"] == ["c", "b"]
    assert np.load(out).tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out.names.json", "out.npy"]
    assert not list(tmp_path.glob(".openclip*"))


@pytest.mark.parametrize("step", range(4))
def test_a_run_that_was_killed_while_it_wrote_parquet_leaves_nothing_once_it_is_resumed(
    run: Run, tmp_path: Path, step: int
) -> None:
    asked = ("embed", *texts(3), "--output", tmp_path / "out.parquet")
    with killed_before(step, tmp_path):
        run(*asked)
    gc.collect()  # as above

    assert run(*asked, "--resume") == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["out.parquet"]


def test_a_killed_run_leaves_its_complete_batches_beside_the_output(scripted: Scripted, tmp_path: Path) -> None:
    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if len(scripted.requests) == 3:
            process.kill()
        answered: tuple[int, dict[str, str], bytes] = result()(path, body)
        return answered

    scripted.answer = answer
    process = python(
        "embed", *texts(10), "--batch", "2", "--jobs", "1", "--url", scripted.url, "--output", tmp_path / "out.json"
    )
    process.communicate(timeout=120)

    (left,) = tmp_path.glob(".openclip-*")
    assert [row["name"] for row in json.loads(left.read_text())] == [f"text {number}" for number in range(4)]


def test_a_full_disk_is_reported_before_the_first_request(scripted: Scripted, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    process = python("embed", *texts(4), "--url", scripted.url, "--output", tmp_path / "out.npy", preexec_fn=limit)
    _, error = process.communicate(timeout=120)

    assert (process.returncode, scripted.requests) == (1, [])
    assert b"out.npy cannot be written: File too large" in error
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_hold_all_rows_is_reported_after_the_first(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 200}))

    assert run("embed", *texts(100), "--batch", 10, "--output", tmp_path / "out.csv") == 3
    error = capsys.readouterr().err
    assert "bytes more, and its disk has 200 left" in error
    assert "10 of 100 done, 0 skipped, 90 not sent" in error
    assert len(Recorder.seen) == 1
    assert len((tmp_path / "out.partial.csv").read_text().splitlines()) == 11


@pytest.mark.parametrize("stdout", ["full", "closed"])
def test_standard_output_that_cannot_be_written_ends_the_run_in_one_line(scripted: Scripted, stdout: str) -> None:
    scripted.answer = result()
    arguments = ("embed", *texts(10), "--batch", "1", "--url", scripted.url)
    if stdout == "full":
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            process = python(*arguments, stdout=full)
    else:
        process = python(*arguments, stdout=None, preexec_fn=lambda: os.close(1))
    _, error = process.communicate(timeout=120)

    assert process.returncode == 1
    assert b"standard output" in error
    assert b"Traceback" not in error
    assert b"Exception ignored" not in error
    assert len(scripted.requests) <= 1


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_pipe_that_has_read_what_it_wanted_is_no_error(scripted: Scripted, more: list[str]) -> None:
    """As of `| head`: the status is that of a program that SIGPIPE ends."""
    scripted.answer = result()
    read, write = os.pipe()
    os.close(read)
    process = python("embed", *texts(10), "--batch", "1", "--url", scripted.url, *more, stdout=write)
    os.close(write)
    _, error = process.communicate(timeout=120)

    assert (process.returncode, error.splitlines()[-1]) == (141, b"0 of 10 done, 0 skipped, 10 not sent")
    assert b"error" not in error
    assert len(scripted.requests) == 1


def test_results_are_kept_on_disk_and_not_in_memory(
    run: Run, function: FakeFunction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    invoke = function.invoke

    def look(event: Any) -> Any:
        sizes.append(sum(path.stat().st_size for path in tmp_path.glob(".openclip*")))
        return invoke(event)

    monkeypatch.setattr(function, "invoke", look)
    assert run("embed", *texts(6), "--batch", 2, "--jobs", 1, "--output", tmp_path / "out.csv") == 0
    assert sizes[0] == 0 < sizes[1] < sizes[2]
