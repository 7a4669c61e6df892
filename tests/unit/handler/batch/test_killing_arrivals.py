"""An arrival that kills its worker goes to the dead-letter queue alone; what came with it is embedded."""

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from handler.batch import arrivals, parquet
from handler.batch.pipeline import Pipeline
from handler.batch.reader import FolderReader
from handler.batch.rows import Row
from handler.batch.shard import Work
from handler.batch.store import Directory
from tests.unit.batch_world import png, vector
from tests.unit.fake_bundle import FakeFunction

KEYS = [f"{number}.png" for number in range(10)]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    (tmp_path / "photos").mkdir()
    for number, key in enumerate(KEYS):
        (tmp_path / "photos" / key).write_bytes(png(number))
    service = FakeFunction(tmp_path / "bundle").service
    reader = FolderReader(tmp_path / "photos", service.settings.max_object_bytes)
    store = Directory(tmp_path / "out")
    return Work(service.model(None), service.models.manifest.sha256, service.settings, reader, store)


def messages(count: int) -> list[dict[str, Any]]:
    """SQS records as Lambda gets them, `count` times received (AWS Lambda, "Using Lambda with Amazon SQS")."""
    return [
        {
            "messageId": f"message-{key}",
            "body": json.dumps({"detail": {"bucket": {"name": "photos"}, "object": {"key": key, "size": 80}}}),
            "attributes": {"ApproximateReceiveCount": str(count)},
        }
        for key in KEYS
    ]


def killed(work: Work, records: list[dict[str, Any]], *fatal: str) -> bool:
    """Take messages in a process of its own, which is killed by some images; tells whether it was."""
    decoded = Pipeline._decoded

    def deadly(self: Pipeline, row: Row, *others: Any) -> Any:
        if row.key in fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return decoded(self, row, *others)

    def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Pipeline, "_decoded", deadly)
            arrivals.run(records, work)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def vectors(folder: Path) -> dict[str, list[float]]:
    rows: Any = duckdb.read_parquet(f"{folder}/out/vectors/*/*/*.parquet").select("key, vector")
    return dict(rows.fetchall())


def test_an_arrival_that_kills_its_worker_goes_back_alone(work: Work, tmp_path: Path) -> None:
    assert killed(work, messages(1), "4.png")
    assert killed(work, messages(2), "4.png")
    outcome = arrivals.run(messages(3), work)

    assert outcome == {"batchItemFailures": [{"itemIdentifier": "message-4.png"}]}
    found = vectors(tmp_path)
    assert set(found) == {*KEYS} - {"4.png"}
    np.testing.assert_allclose(found["7.png"], vector(7), atol=1e-6)
    (path,) = tmp_path.glob("out/errors/*/*/*.jsonl")
    error = json.loads(path.read_text())
    assert (error["key"], error["code"]) == ("4.png", "worker_ended")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "vectors",
        "errors",
    }  # its old vector, if any, stays


def test_arrivals_that_come_again_and_kill_nobody_are_embedded(work: Work, tmp_path: Path) -> None:
    assert killed(work, messages(1), "4.png")
    assert arrivals.run(messages(2), work) == {"batchItemFailures": []}
    found = vectors(tmp_path)
    assert set(found) == set(KEYS)
    assert not (tmp_path / "out" / "parts").exists()


@pytest.mark.parametrize("alone", [False, True])
def test_two_events_of_an_image_that_kills_its_worker_end_it_no_more_often(work: Work, alone: bool) -> None:
    """Both go back, in whatever order and batches they come the next time: Amazon SQS keeps none of them together."""

    def both(count: int) -> list[dict[str, Any]]:
        (event,) = [one for one in messages(count) if one["messageId"] == "message-4.png"]
        return [*messages(count), {**event, "messageId": "message-4.png again"}]

    assert killed(work, both(1), "4.png")
    assert killed(work, both(2), "4.png")
    records = both(3)
    batches = [records[:-1], records[-1:]] if alone else [records[::-1]]
    for batch in batches:
        assert not killed(work, batch, "4.png")
    assert {row.key for row in embedded_rows(work)} == {*KEYS} - {"4.png"}


def test_the_last_try_embeds_all_but_two_images_that_kill_their_worker(work: Work) -> None:
    """A message is received five times: infra/event_queue.py."""
    ended = [killed(work, messages(count), "2.png", "7.png") for count in range(1, 6)]
    assert ended == [True, True, True, True, False]
    assert {row.key for row in embedded_rows(work)} == {*KEYS} - {"2.png", "7.png"}


def embedded_rows(work: Work) -> list[Row]:
    names = [entry.name for entry in work.store.list("vectors/")]
    return [item.row for name in names for item in parquet.read(work.store.read(name))[0]]
