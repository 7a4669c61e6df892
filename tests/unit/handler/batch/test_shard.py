"""One plan file in, errors and one Parquet file out; run twice or at once, the output is one."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from handler.batch import shard
from handler.batch.reader import TransientError
from handler.batch.rows import json_lines
from handler.batch.shard import ShardError
from tests.unit.batch_world import OUTPUT, SOURCE, World, png, vector, world

PLAN = "runs/first/plan/00000000.jsonl"
DONE = {"shard": "00000000", "skipped": False}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "bundle") as found:
        yield found


def plan(made: World, keys: list[str], name: str = PLAN, seen_at: int = 1_700_000_000_000) -> None:
    rows: list[dict[str, Any]] = [{"bucket": SOURCE, "key": key, "size": 90, "seen_at": seen_at} for key in keys]
    made.work.store.write(name, json_lines(rows))


def read(made: World, tmp_path: Path) -> Any:
    made.download(tmp_path / "out")
    return duckdb.read_parquet(f"{tmp_path}/out/vectors/*/*/*.parquet").order("key")


def test_each_image_becomes_a_row_and_each_broken_one_a_line(made: World, tmp_path: Path) -> None:
    for number in range(70):  # more than two groups of the engine
        made.put(f"a/{number:02d}.png", png(number))
    made.put("a/broken.png", b"no image")
    made.put("a/empty.png", b"")
    plan(made, [f"a/{number:02d}.png" for number in range(70)] + ["a/broken.png", "a/empty.png", "a/lost.png"])

    assert shard.run(PLAN, made.work, 0.5) == {**DONE, "embedded": 70, "failed": 3}

    rows = read(made, tmp_path)
    assert rows.columns[:9] == [
        "bucket",
        "key",
        "etag",
        "size",
        "last_modified",
        "seen_at",
        "width",
        "height",
        "vector",
    ]
    table = rows.fetchall()
    assert [row[1] for row in table] == [f"a/{number:02d}.png" for number in range(70)]
    assert {(row[0], row[6], row[7], row[5].timestamp()) for row in table} == {(SOURCE, 8, 6, 1_700_000_000.0)}
    head = made.s3.head_object(Bucket=SOURCE, Key="a/07.png")
    assert (table[7][2], table[7][3]) == (head["ETag"].strip('"'), head["ContentLength"])
    assert table[7][4] == head["LastModified"]
    np.testing.assert_allclose([row[8] for row in table], [vector(number) for number in range(70)], atol=1e-6)
    (errors,) = made.names("errors/")
    lines = [json.loads(line) for line in made.work.store.read(errors).splitlines()]
    assert {line["key"]: line["code"] for line in lines} == {
        "a/broken.png": "not_an_image",
        "a/empty.png": "empty_input",
        "a/lost.png": "object_not_found",
    }


def test_the_file_says_which_bundle_its_vectors_are_of(made: World, tmp_path: Path) -> None:
    made.put("a.png", png(1))
    plan(made, ["a.png"])
    shard.run(PLAN, made.work, 0.5)
    made.download(tmp_path)
    (path,) = tmp_path.glob("vectors/*/*/*.parquet")
    found: Any = duckdb.sql("SELECT value FROM parquet_kv_metadata(?) WHERE key = 'openclip'", params=[str(path)])
    about = json.loads(found.fetchall()[0][0])
    assert about["manifest_sha256"] == made.service.models.manifest.sha256
    assert about["model"] == "tests/letters"
    assert about["settings"] == {"exif_orientation": False, "normalize": True}


def test_a_shard_that_is_done_is_skipped_and_one_that_was_lost_is_made_again_byte_for_byte(made: World) -> None:
    made.put("a.png", png(1))
    made.put("b.png", b"broken")
    plan(made, ["a.png", "b.png"])
    shard.run(PLAN, made.work, 0.5)
    (name,) = made.names("vectors/")
    first = made.work.store.read(name)

    made.s3.delete_object(Bucket=OUTPUT, Key=name)
    assert shard.run(PLAN, made.work, 0.5)["skipped"] is False
    assert made.work.store.read(name) == first

    made.put("a.png", png(200))  # a shard that is done does not look at its source again
    assert shard.run(PLAN, made.work, 0.5) == {"shard": "00000000", "skipped": True, "failed_before": 1}
    assert made.work.store.read(name) == first
    assert made.names("vectors/") == [name]


def test_two_workers_at_once_leave_one_output(made: World) -> None:
    keys = [f"{number}.png" for number in range(12)]
    for number, key in enumerate(keys):
        made.put(key, png(number))
    plan(made, keys)
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(shard.run(PLAN, made.work, 0.5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made.names("vectors/")) == 1
    assert [outcome["skipped"] for outcome in outcomes].count(False) == 1


def test_a_shard_of_which_most_is_broken_fails_and_writes_nothing(made: World) -> None:
    keys = [f"{number}.png" for number in range(20)]
    for number, key in enumerate(keys):
        made.put(key, b"broken" if number < 11 else png(number))
    plan(made, keys)
    with pytest.raises(ShardError, match="11 of 20 images failed, the first with not_an_image"):
        shard.run(PLAN, made.work, 0.5)
    assert made.names("vectors/") + made.names("errors/") == []
    assert shard.run(PLAN, made.work, 0.55)["failed"] == 11


@pytest.mark.parametrize("broken", [False, True])
def test_a_shard_that_failed_looks_at_its_source_again(
    made: World, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """What a worker saved of it is of a source that could not be read, or that was broken."""
    work, keys = made.work._replace(saved_every=8), [f"{number:02d}.png" for number in range(20)]
    for number, key in enumerate(keys):
        made.put(key, b"broken" if broken else png(number))
    plan(made, keys)
    with monkeypatch.context() as before:
        if not broken:
            refuse(made, before, "AccessDenied")
        with pytest.raises(ShardError):
            shard.run(PLAN, work, 0.5)
    for number, key in enumerate(keys):
        made.put(key, png(number))
    assert shard.run(PLAN, work, 0.5) == {**DONE, "embedded": 20, "failed": 0, "resumed": 16}
    assert made.names("parts/") == []


def test_a_bundle_that_was_deployed_during_a_run_adds_nothing_to_it(made: World) -> None:
    made.put("a.png", png(1))
    plan(made, ["a.png"])
    with pytest.raises(ShardError, match=r"began with bundle 0123456789ab, and [0-9a-f]{12} was .*start the run again"):
        shard.run(PLAN, made.work, 0.5, model="0123456789ab")
    assert made.names("vectors/") + made.names("errors/") == []
    own = made.service.models.vectors_sha256()[:12]
    assert shard.run(PLAN, made.work, 0.5, model=own) == {**DONE, "embedded": 1, "failed": 0}


def test_archived_images_are_told_and_fail_no_shard(made: World) -> None:
    keys = [f"{number}.png" for number in range(20)]
    for number, key in enumerate(keys):
        storage = "GLACIER" if number else "STANDARD"
        made.s3.put_object(Bucket=SOURCE, Key=key, Body=png(number), StorageClass=storage)
    plan(made, keys)
    assert shard.run(PLAN, made.work, 0.1) == {**DONE, "embedded": 1, "failed": 19}
    [errors] = made.names("errors/")
    told = [json.loads(line) for line in made.work.store.read(errors).splitlines()]
    assert {line["code"] for line in told} == {"object_archived"}


def test_a_shard_of_which_nothing_may_be_read_names_the_role(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made.put("a.png", png(1))
    plan(made, ["a.png"])
    refuse(made, monkeypatch, "AccessDenied")
    with pytest.raises(ShardError, match=r"none of 1 image may be read.*role"):
        shard.run(PLAN, made.work, 1.0)


@pytest.mark.parametrize(
    "code", ["InvalidRequest", "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException"]
)
def test_an_image_whose_key_cannot_be_used_costs_itself_alone(
    made: World, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """S3 answers InvalidRequest for an object that was encrypted with a key of its writer's (SSE-C)."""
    for key in ("a.png", "b.png"):
        made.put(key, png(1))
    plan(made, ["a.png", "b.png"])
    refuse(made, monkeypatch, code, "a.png")
    assert shard.run(PLAN, made.work, 0.5) == {**DONE, "embedded": 1, "failed": 1}
    [errors] = made.names("errors/")
    told = json.loads(made.work.store.read(errors))
    assert (told["key"], told["code"], code in told["message"]) == ("a.png", "object_not_readable", True)


def test_where_s3_does_not_answer_the_shard_is_left_to_be_tried_again(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.put("a.png", png(1))
    plan(made, ["a.png"])
    refuse(made, monkeypatch, "SlowDown")
    with pytest.raises(TransientError, match="SlowDown"):
        shard.run(PLAN, made.work, 1.0)
    assert made.names("vectors/") + made.names("errors/") == []


@pytest.mark.parametrize("name", ["", "plan/00000000.jsonl", "runs/../plan/00000000.jsonl", "runs/a/plan/1.jsonl"])
def test_what_is_no_plan_file_is_refused(made: World, name: str) -> None:
    with pytest.raises(ShardError, match="is no plan file"):
        shard.run(name, made.work, 0.5)


@pytest.mark.parametrize("content", [b"[]\n", b'{"bucket": "photos"}\n', b"\xff\n", b'{"bucket": 1, "key": 2}\n'])
def test_a_damaged_plan_is_told_by_its_line(made: World, content: bytes) -> None:
    made.work.store.write(PLAN, content)
    with pytest.raises(ShardError, match="line 1: not bucket, key, size and seen_at"):
        shard.run(PLAN, made.work, 0.5)


def refuse(made: World, monkeypatch: pytest.MonkeyPatch, code: str, key: str = "") -> None:
    """Let S3 answer the images' requests, or those of one key, with an error; plans are read as before."""
    from botocore.exceptions import ClientError

    before = made.s3.get_object

    def get_object(**asked: Any) -> Any:
        if asked["Bucket"] == SOURCE and key in ("", asked["Key"]):
            raise ClientError({"Error": {"Code": code}}, "GetObject")
        return before(**asked)

    monkeypatch.setattr(made.s3, "get_object", get_object)
