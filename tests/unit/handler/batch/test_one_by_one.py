"""An image that kills its worker costs its own row alone, and is named; whoever raises, or is stopped once, does not.

The workers are processes that really end: a decoder kills its own at some of the images.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import duckdb
import pytest

from handler.batch import shard
from handler.batch.pipeline import Pipeline
from handler.batch.reader import FolderReader, TransientError
from handler.batch.rows import Row, json_lines
from handler.batch.shard import Work
from handler.batch.store import Directory
from tests.unit.batch_world import png
from tests.unit.fake_bundle import FakeFunction

PLAN = "runs/first/plan/0123abcd/00000000.jsonl"
IMAGES = 300  # several times what is read ahead
KEYS = [f"{number:03d}.png" for number in range(IMAGES)]

Act = Callable[[Row], None]
decoded = Pipeline._decoded


@pytest.fixture
def work(tmp_path: Path) -> Work:
    source, store = tmp_path / "photos", Directory(tmp_path / "out")
    source.mkdir()
    for number, key in enumerate(KEYS):
        (source / key).write_bytes(png(number % 256))
    service = FakeFunction(tmp_path / "bundle").service
    reader = FolderReader(source, service.settings.max_object_bytes)
    store.write(PLAN, json_lines({"bucket": "", "key": key, "size": 90, "seen_at": 7} for key in KEYS))
    return Work(service.model(None), service.models.manifest.sha256, service.settings, reader, store, 16)


def killing(keys: Collection[str]) -> Act:
    def act(row: Row) -> None:
        if row.key in keys:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def run(work: Work, act: Act, again: bool) -> None:
    """Run the shard, and do something at each image before it is decoded."""

    def watched(self: Pipeline, row: Row, *others: Any) -> Any:
        act(row)
        return decoded(self, row, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "_decoded", watched)
        shard.run(PLAN, work, 0.5, again)


def tried(work: Work, act: Act, again: bool) -> int:
    """Run the shard in a process of its own; returns its exit code."""
    process = multiprocessing.get_context("fork").Process(target=run, args=(work, act, again))
    process.start()
    process.join()
    return process.exitcode or 0


def tries(work: Work, keys: Collection[str], most: int = 20) -> int:
    """Run the shard as often as it takes, and say how often that was."""
    for number in range(most):
        if not tried(work, killing(keys), again=number > 0):
            return number + 1
    raise AssertionError(f"not done after {most} tries")


def outcome(folder: Path) -> tuple[set[str], dict[str, str]]:
    """Read which images have a vector, and the code of each that has none."""
    rows: Any = duckdb.read_parquet(f"{folder}/out/vectors/*/*/*.parquet")
    lines = [line for path in folder.glob("out/errors/*/*/*.jsonl") for line in path.read_text().splitlines()]
    return {row[1] for row in rows.fetchall()}, {line["key"]: line["code"] for line in map(json.loads, lines)}


@pytest.mark.parametrize(("fatal", "most"), [
    (["000.png"], 6),
    (["150.png"], 6),  # Step Functions tries it six times: infra/batch_machine.py
    (["299.png"], 6),
    (["040.png", "041.png"], 9),
    (["003.png", "150.png", "298.png"], 20),  # a folder run's: handler.batch.processes
])  # fmt: skip
def test_images_that_kill_their_worker_are_named_and_the_rest_is_embedded(
    work: Work, tmp_path: Path, fatal: list[str], most: int
) -> None:
    assert tries(work, fatal) <= most
    embedded, failed = outcome(tmp_path)
    assert embedded == set(KEYS) - set(fatal)
    assert failed == dict.fromkeys(fatal, "worker_ended")
    assert not (tmp_path / "out" / "parts").exists()


def test_a_worker_that_is_killed_once_for_no_image_s_sake_changes_nothing(work: Work, tmp_path: Path) -> None:
    assert tried(work, killing(["100.png"]), again=False) == -signal.SIGKILL
    looked: list[str] = []
    run(work, lambda row: looked.append(row.key), again=True)
    assert outcome(tmp_path) == (set(KEYS), {})
    assert len(looked) < IMAGES  # what was saved was not read again


def test_an_image_with_which_two_workers_were_stopped_is_embedded(work: Work, tmp_path: Path) -> None:
    for again in (False, True, True, True):
        assert tried(work, killing(["100.png"]), again) == -signal.SIGKILL
    assert tried(work, killing([]), again=True) == 0
    assert outcome(tmp_path) == (set(KEYS), {})


def test_a_source_that_does_not_answer_is_no_image_s_fault(work: Work, tmp_path: Path) -> None:
    def away(row: Row) -> None:
        if row.key == "100.png":
            raise TransientError("S3 answered SlowDown")

    for _ in range(6):
        with pytest.raises(TransientError):
            run(work, away, again=True)
    shard.run(PLAN, work, 0.5, True)
    assert outcome(tmp_path) == (set(KEYS), {})


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"a": 1, "b": 2}', b"[null, 1]"])
def test_a_note_that_cannot_be_read_counts_as_none(work: Work, tmp_path: Path, damage: bytes) -> None:
    note = work.target("parts", "first", "00000000", "x").removesuffix(".x") + "/note.json"
    work.store.write(note, damage)
    shard.run(PLAN, work, 0.5, True)
    assert outcome(tmp_path) == (set(KEYS), {})


def test_an_engine_that_kills_every_worker_is_no_image_s_fault(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(work.model.engine), "encode_images", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        for number in range(8):
            assert tried(work, killing([]), again=number > 0) == -signal.SIGKILL
    assert tried(work, killing([]), again=True) == 0
    assert outcome(tmp_path) == (set(KEYS), {})
