"""What the batch's worker asks of S3, beside what its role may do in the output bucket."""

import fnmatch
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from handler.batch import arrivals, shard
from handler.batch.rows import json_lines
from tests.infra.conftest import Synth
from tests.infra.test_batch import function, statements
from tests.unit.batch_world import OUTPUT, SOURCE, World, png, world

# Amazon S3, Service Authorization Reference: the action that each call needs.
ACTIONS = {
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
}
PLAN = "runs/first/plan/0123abcd/00000000.jsonl"
Rights = list[tuple[str, str, str]]


@pytest.fixture(params=[{}, {"batch_output": "results"}], ids=["a bucket of the stack's", "a bucket of the user's"])
def rights(request: pytest.FixtureRequest, synth: Synth) -> Rights:
    """Effect, action and pattern of keys, of each statement on objects that is not of the source."""
    template = synth(batch_source="photos", **request.param)
    found = []
    for one in statements(template, function(template, "batch worker")):
        places = one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]]
        actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        keys = [json.dumps(place).partition("/")[2].partition('"')[0] for place in places if "photos" not in str(place)]
        found += [
            (one["Effect"], action, key)
            for key in keys
            for action in actions
            if action.startswith("s3:") and "Object" in action
        ]
    return found


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "bundle") as found:
        yield found


def calls(made: World) -> list[tuple[str, str]]:
    """Record action and key of each call on an object of the output."""
    found: list[tuple[str, str]] = []

    def record(params: dict[str, Any], model: Any, **_: object) -> None:
        if params.get("Bucket") != OUTPUT or model.name == "ListObjectsV2":  # which is of no object
            return
        keys = [params["Key"]] if "Key" in params else [item["Key"] for item in params["Delete"]["Objects"]]
        found.extend((ACTIONS[model.name], key) for key in keys)

    made.s3.meta.events.register("provide-client-params.s3", record)
    return found


def permits(rights: Rights, action: str, key: str) -> bool:
    found = {effect for effect, one, pattern in rights if action == one and fnmatch.fnmatchcase(key, pattern)}
    return found == {"Allow"}


def event(key: str, received: int) -> dict[str, Any]:
    body = {"detail": {"bucket": {"name": SOURCE}, "object": {"key": key, "size": 80}}}
    attributes = {"ApproximateReceiveCount": str(received)}
    return {"messageId": f"{key}-{received}", "body": json.dumps(body), "attributes": attributes}


def test_a_shard_and_arrivals_ask_for_nothing_that_is_denied(made: World, rights: Rights) -> None:
    for number in range(6):
        made.put(f"{number}.png", png(number))
    made.put("broken.png", b"no image")
    rows = [{"bucket": SOURCE, "key": f"{number}.png", "size": 80, "seen_at": 7} for number in range(6)]
    rows += [{"bucket": SOURCE, "key": key, "size": 8, "seen_at": 7} for key in ("broken.png", "gone.png")]
    made.s3.put_object(Bucket=OUTPUT, Key=PLAN, Body=json_lines(rows))
    asked, work = calls(made), made.work._replace(saved_every=2)

    shard.run(PLAN, work, 1.0)
    shard.run(PLAN, work, 1.0)  # what is done
    other = boto3.client("s3", region_name="us-east-1")  # whose calls are not the worker's
    other.delete_object(Bucket=OUTPUT, Key=made.names("vectors/")[0])
    shard.run(PLAN, work, 1.0, again=True)  # what a worker was killed at
    for received in (1, 2):
        arrivals.run([event(key, received) for key in ("0.png", "broken.png", "gone.png")], work)

    assert {action for action, _ in asked} == set(ACTIONS.values())
    assert {key.partition("/")[0] for _, key in asked} == {"vectors", "errors", "deletions", "parts", "runs"}
    assert [one for one in asked if not permits(rights, *one)] == []


@pytest.mark.parametrize(
    "key",
    [
        *("index/vectors.lance/_versions/1.manifest", "compactions/model=a/1.json", "my.docx"),
        *(PLAN, "runs/first/plan.json", "runs/first/plan/0123abcd/settings-1.json"),  # each is read as a shard
    ],
)
def test_a_worker_that_a_strangers_image_took_over_writes_nothing_else(rights: Rights, key: str) -> None:
    assert not permits(rights, "s3:PutObject", key)
    assert not permits(rights, "s3:DeleteObject", key)
    assert key.startswith("runs/") or not permits(rights, "s3:GetObject", key)
