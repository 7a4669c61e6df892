"""The requests that the estimate reckons with are those that the worker and the planner make."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openclip_lambda.batch import costs

from handler.batch import shard
from handler.batch.rows import json_lines
from tests.unit.batch_world import OUTPUT, SOURCE, World, png, world

IMAGES = 300


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "bundle") as found:
        yield found


def counted(client: Any) -> Counter[str]:
    """Count a client's requests from now on, by operation."""
    counts: Counter[str] = Counter()
    client.meta.events.register("before-call.s3", lambda model, **_: counts.update([model.name]))
    return counts


def test_a_shard_costs_no_more_requests_and_bytes_than_reckoned(made: World) -> None:
    for number in range(IMAGES):
        made.put(f"{number:04d}.png", png(number % 256) if number else b"no image")
    rows = [{"bucket": SOURCE, "key": f"{number:04d}.png", "size": 80, "seen_at": 1} for number in range(IMAGES)]
    plan = "runs/first/plan/01234567/00000000.jsonl"
    made.work.store.write(plan, json_lines(rows))
    counts = counted(made.s3)

    shard.run(plan, made.work, 0.5)

    assert counts["GetObject"] + counts["HeadObject"] <= IMAGES + costs.GETS_A_SHARD
    # The plan file, too, and not what the first shard writes for its run.
    assert counts["PutObject"] + 1 - 1 <= costs.PUTS_A_SHARD + IMAGES // costs.SAVED_EVERY
    assert counts["ListObjectsV2"] <= costs.LISTS_A_SHARD
    assert set(counts) <= {"GetObject", "HeadObject", "PutObject", "ListObjectsV2", "DeleteObject"}  # the last is free
    listed = made.s3.list_objects_v2(Bucket=OUTPUT)["Contents"]
    stored = sum(item["Size"] for item in listed)
    dimensions = 4  # of the engine that counts letters
    assert stored < IMAGES * (4 * dimensions + costs.ROW_BYTES)
