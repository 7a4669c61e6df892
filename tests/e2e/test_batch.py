"""A whole bucket, deployed as people do it: the state machine, its workers in containers, and what arrives later."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.collection import ARRIVAL_SECONDS, BROKEN, GOOD, SOURCE, drawn
from tests.e2e.deployment import Deployment
from tests.unit.batch_world import newest

ROOT = Path(__file__).parents[2]
SHARD = 20
RUN_SECONDS = 800  # the containers of a busy machine


def command(batch: Deployment, verb: str, *arguments: str, status: int = 0) -> dict[str, Any]:
    """Run `openclip-lambda batch <verb>` as users do, from the repository; returns its document."""
    words = [sys.executable, "-m", "client", "batch", verb, *arguments, "--json"]
    ended = subprocess.run(
        words, cwd=ROOT, env=batch.aws.environ, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    assert ended.returncode == status, ended.stdout + ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def objects(batch: Deployment, prefix: str) -> dict[str, bytes]:
    s3, bucket = batch.aws.client("s3"), batch.outputs["BatchBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def state(batch: Deployment, folder: Path) -> dict[str, list[float]]:
    for kind in ("vectors/", "deletions/"):
        for key, data in objects(batch, kind).items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(data)
    return newest(folder)


def test_a_run_embeds_every_image_once_and_names_the_broken_ones(batch: Deployment, tmp_path: Path) -> None:
    stack = ("--stack", batch.name)
    estimated = command(batch, "estimate", f"s3://{SOURCE}/in/", *stack)
    assert (estimated["images"], estimated["objects"], estimated["counted"]) == (GOOD + BROKEN, GOOD + BROKEN + 1, True)
    assert (estimated["work"]["memory"], estimated["work"]["architecture"]) == (1769, "x86_64")  # the deployed worker's
    started = command(batch, "start", f"s3://{SOURCE}/in/", *stack, "--run", "first", "--shard-size", str(SHARD))
    assert (started["run"], started["how"]) == ("first", "started")
    ended = command(batch, "status", *stack, "--run", "first", "--wait")
    assert ended["status"] == "SUCCEEDED", ended
    shards = -(-(GOOD + BROKEN) // SHARD)
    assert ended["shards"] == {"total": shards, "done": shards, "running": 0, "failed": 0}
    assert ended["images"] == {"total": GOOD + BROKEN, "done": GOOD + BROKEN}
    assert 0 < ended["dollars"] < 0.01

    found = state(batch, tmp_path)
    assert sorted(found) == [f"in/{number:03d}.png" for number in range(GOOD)]
    assert len(objects(batch, "vectors/")) == GOOD // SHARD + 1
    lines = b"".join(objects(batch, "errors/").values()).splitlines()
    broken = [f"in/broken-{number}.jpg" for number in range(BROKEN)]
    assert sorted(json.loads(line)["key"] for line in lines) == broken
    told = command(batch, "errors", *stack, "--run", "first")
    assert sorted(key["key"] for row in told["codes"] for key in row["keys"]) == broken
    assert told["total"] == BROKEN
    # The same vectors as the API of the same package gives.
    question = {"rawPath": "/v1/embeddings", "headers": {"content-type": "image/png"}, "isBase64Encoded": True}
    function = batch.aws.client("lambda")
    for number in (0, 50, 116):
        event = {**question, "version": "2.0", "body": base64.b64encode(drawn(number)).decode()}
        event["requestContext"] = {"http": {"method": "POST", "path": "/v1/embeddings"}}
        answer = function.invoke(FunctionName=batch.outputs["FunctionName"], Payload=json.dumps(event))
        body = json.loads(json.loads(answer["Payload"].read())["body"])
        np.testing.assert_allclose(found[f"in/{number:03d}.png"], body["data"][0]["embedding"], atol=2e-3)


def test_a_run_that_is_taken_up_again_does_only_what_is_missing(batch: Deployment) -> None:
    before = objects(batch, "vectors/")
    lost = sorted(before)[2]
    batch.aws.client("s3").delete_object(Bucket=batch.outputs["BatchBucket"], Key=lost)
    ended = command(batch, "resume", "--stack", batch.name, "--run", "first", "--wait")
    assert (ended["run"], ended["status"]) == ("first", "SUCCEEDED")
    assert objects(batch, "vectors/") == before  # what was remade too, byte for byte


def test_a_run_may_have_a_part_of_the_source(batch: Deployment) -> None:
    stack = ("--stack", batch.name)
    ended = command(batch, "start", f"s3://{SOURCE}/in/02", *stack, "--run", "part", "--wait")
    assert (ended["status"], ended["images"]["done"]) == ("SUCCEEDED", 10)
    assert [key.rpartition("/")[2] for key in objects(batch, "vectors/") if "/run=part/" in key] == ["00000000.parquet"]


def test_a_run_that_finds_no_image_succeeds(batch: Deployment) -> None:
    ended = command(batch, "start", f"s3://{SOURCE}/in/none", "--stack", batch.name, "--run", "none", "--wait")
    assert (ended["status"], ended["images"]) == ("SUCCEEDED", {"total": 0, "done": 0})


def test_a_folder_on_this_machine_gives_what_the_bucket_gives(batch: Deployment, tmp_path: Path) -> None:
    for number in range(GOOD):
        (tmp_path / "photos" / "in").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "in" / f"{number:03d}.png").write_bytes(drawn(number))
    (tmp_path / "photos" / "in" / "broken.jpg").write_bytes(b"no image")
    photos, output = str(tmp_path / "photos"), ("--output", str(tmp_path / "local"))
    bundle = ("--bundle", str(batch.scratch / "build" / "bundle"))

    ended = command(batch, "start", photos, *output, *bundle, "--shard-size", "50", "--processes", "2", status=3)

    assert (ended["status"], ended["failed"], ended["images"]["done"]) == ("SUCCEEDED", 1, GOOD + 1)
    assert command(batch, "status", *output)["shards"]["done"] == 3
    assert command(batch, "errors", *output)["codes"][0]["keys"][0]["key"] == "in/broken.jpg"
    here, there = newest(tmp_path / "local"), state(batch, tmp_path / "bucket")
    assert list(here) == list(there)
    for key, vector in here.items():
        np.testing.assert_allclose(vector, there[key], atol=2e-3)
    lost = sorted((tmp_path / "local" / "vectors").rglob("*.parquet"))[1]
    before = lost.read_bytes()
    lost.unlink()
    assert command(batch, "status", *output)["status"] == "INCOMPLETE"
    assert command(batch, "resume", *output, *bundle, status=3)["status"] == "SUCCEEDED"  # the broken one, still
    assert lost.read_bytes() == before


def test_what_comes_and_goes_after_the_run_is_seen(batch: Deployment, tmp_path: Path) -> None:
    s3 = batch.aws.client("s3")
    s3.put_object(Bucket=SOURCE, Key="in/new.png", Body=drawn(7))
    s3.put_object(Bucket=SOURCE, Key="in/000.png", Body=drawn(90))  # replaced
    s3.put_object(Bucket=SOURCE, Key="in/new-broken.png", Body=b"no image")
    s3.delete_object(Bucket=SOURCE, Key="in/001.png")
    s3.put_object(Bucket=SOURCE, Key="elsewhere/b.png", Body=drawn(1))
    wanted = {f"in/{number:03d}.png" for number in range(GOOD)} - {"in/001.png"} | {"in/new.png"}
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        found = state(batch, tmp_path)
        if set(found) == wanted and np.allclose(found["in/000.png"], found["in/090.png"], atol=2e-3):
            break
        time.sleep(1)
    assert set(found) == wanted
    np.testing.assert_allclose(found["in/000.png"], found["in/090.png"], atol=2e-3)
    np.testing.assert_allclose(found["in/new.png"], found["in/007.png"], atol=2e-3)
