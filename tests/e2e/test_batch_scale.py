"""A run over many images whose workers are killed, and two executions of one run at once."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e import many
from tests.e2e.collection import SOURCE
from tests.e2e.deployment import Deployment
from tests.e2e.engine import docker
from tests.e2e.many import IMAGES, PREFIX
from tests.e2e.test_batch import command, objects

pytestmark = [pytest.mark.parametrize("batch", ["image"], indirect=True), pytest.mark.timeout(3600)]
SHARD = 1000
SHARDS = -(-IMAGES // SHARD)
# Images of one killed worker that may be read again: where one worker in ten is killed, that is 2 % of all.
AGAIN = SHARD // 5
SECONDS = 600 + IMAGES // 10
GOOD = [many.key(number) for number in range(IMAGES) if not many.is_broken(number)]
BROKEN = [many.key(number) for number in range(IMAGES) if many.is_broken(number)]


@pytest.fixture(scope="module")
def images(batch: Deployment) -> Iterator[None]:
    with many.uploaded(batch):
        yield


def rows(batch: Deployment, run: str, folder: Path) -> dict[str, list[float]]:
    """Return what a run wrote, whose keys are each there once."""
    import duckdb

    files = {name: data for name, data in objects(batch, "vectors/").items() if f"/run={run}/" in name}
    for name, data in files.items():
        (folder / run).mkdir(parents=True, exist_ok=True)
        (folder / run / name.rpartition("/")[2]).write_bytes(data)
    found: Any = duckdb.sql(f"SELECT key, vector FROM read_parquet('{folder / run}/*.parquet')")  # noqa: S608
    table = found.fetchall()
    assert max(Counter(key for key, _ in table).values()) == 1
    return dict(table)


def errors(batch: Deployment, run: str) -> list[str]:
    files = [data for name, data in objects(batch, "errors/").items() if f"/run={run}/" in name]
    return sorted(json.loads(line)["key"] for line in b"".join(files).splitlines())


class Execution:
    """One execution of the state machine."""

    def __init__(self, batch: Deployment, arn: str) -> None:
        self._client, self._arn = batch.aws.client("stepfunctions"), arn

    def status(self) -> str:
        """Return its status."""
        return str(self._client.describe_execution(executionArn=self._arn)["status"])

    def over(self) -> bool:
        """Tell whether it has ended."""
        return self.status() != "RUNNING"


def test_killed_workers_lose_and_double_nothing_and_resume_does_what_is_missing(
    batch: Deployment, images: None, tmp_path: Path
) -> None:
    rng, reads = random.Random(20261127), many.Reads(batch.aws)  # noqa: S311
    stack = ("--stack", batch.name, "--run", "killed")
    many.kill(many.workers(batch))  # those that wait for work: what is killed from here on is at work
    started = command(batch, "start", f"s3://{SOURCE}/{PREFIX}", *stack, "--shard-size", str(SHARD))
    execution = Execution(batch, started["execution"])

    # One worker in ten, at any time.
    moments = sorted(rng.sample(range(IMAGES // 20, IMAGES * 3 // 4), max(1, SHARDS // 10)))
    for moment in moments:
        many.wait_until(lambda: reads.all() > moment, SECONDS)  # noqa: B023 - it is called here
        many.kill([one_worker(batch, rng)])
    # Of the last two, let one be alone in the end.
    many.wait_until(lambda: len(written(batch, "killed")) >= SHARDS - 2, SECONDS)
    docker("pause", one_worker(batch, rng))
    many.wait_until(lambda: len(written(batch, "killed")) >= SHARDS - 1, SECONDS)
    again = reads.again()
    # Each that takes the last shard, until the run is given up.
    with many.without_waiting(batch.aws):
        while not execution.over():
            many.kill(many.workers(batch))
            time.sleep(rng.uniform(0.2, 1))
    ended = command(batch, "status", *stack, status=1)
    before_resume = reads.again()
    resumed = command(batch, "resume", *stack, "--wait")

    by_resume = reads.again() - before_resume
    print(
        f"of {IMAGES:,} images read again: {again} for {len(moments)} of {SHARDS} workers killed, {by_resume} by resume"
    )
    assert ended["status"] == "FAILED"
    assert (resumed["status"], resumed["shards"]["done"]) == ("SUCCEEDED", SHARDS)
    assert sorted(rows(batch, "killed", tmp_path)) == GOOD
    assert errors(batch, "killed") == BROKEN
    assert not [name for name in objects(batch, "parts/") if "/run=killed/" in name]
    assert again <= len(moments) * AGAIN
    assert by_resume <= AGAIN
    assert reads.all() - reads.again() == IMAGES


def one_worker(batch: Deployment, rng: random.Random) -> str:
    """Return a container of the worker, when there is one: one that was killed is not replaced at once."""
    found: list[str] = []

    def there_is() -> bool:
        found[:] = many.workers(batch)
        return bool(found)

    many.wait_until(there_is, SECONDS)
    return rng.choice(found)


def written(batch: Deployment, run: str) -> list[str]:
    names = many.names(batch.aws.client("s3"), batch.outputs["BatchBucket"], "vectors/")
    return [name for name in names if f"/run={run}/" in name]


def test_two_executions_of_one_run_at_once_have_one_plan_and_one_output(
    batch: Deployment, images: None, tmp_path: Path
) -> None:
    source = f"s3://{SOURCE}/{PREFIX}" + ("" if IMAGES >= 10_000 else "000")
    asked = json.dumps({"run": "twice", "shard_size": 100, "source": source})
    start, machine = batch.aws.client("stepfunctions").start_execution, batch.outputs["BatchMachine"]
    both = [Execution(batch, start(stateMachineArn=machine, input=asked)["executionArn"]) for _ in range(2)]
    many.wait_until(lambda: all(execution.over() for execution in both), SECONDS)

    assert [execution.status() for execution in both] == ["SUCCEEDED", "SUCCEEDED"]
    found = rows(batch, "twice", tmp_path)
    wanted = [key for key in GOOD if f"s3://{SOURCE}/{key}".startswith(source)]
    assert sorted(found) == wanted
    assert errors(batch, "twice") == [key for key in BROKEN if f"s3://{SOURCE}/{key}".startswith(source)]
    alone = rows(batch, "killed", tmp_path)
    np.testing.assert_allclose([found[key] for key in wanted], [alone[key] for key in wanted], atol=2e-3)
