"""What changes after a run: whatever order events come in, the newest state is the bucket's."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.batch import arrivals, shard
from handler.batch.rows import json_lines
from tests.unit.batch_world import SOURCE, World, newest, png, vector, world

REFUSALS = [
    *("AccessDenied", "KMS.DisabledException", "KMS.KMSInvalidStateException"),
    *("InvalidRequest", "KMS.KeyUnavailableException", "InternalError", "SlowDown"),  # InvalidRequest: SSE-C
]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "bundle") as found:
        yield found


def message(key: str, what: str = "Object Created", number: int = 0) -> dict[str, Any]:
    """One SQS record, with an event as EventBridge sends it (AmazonS3, "EventBridge event message structure")."""
    created = {} if what == "Object Deleted" else {"size": 80, "etag": "b1946ac92492d2347c6235b4d2611184"}
    detail = {"version": "0", "bucket": {"name": SOURCE}, "object": {"key": key, "sequencer": "00", **created}}
    body = {"version": "0", "detail-type": what, "source": "aws.s3", "detail": detail}
    return {"messageId": f"{key}-{what}-{number}", "body": json.dumps(body), "eventSource": "aws:sqs"}


def state(made: World, tmp_path: Path) -> dict[str, list[float]]:
    return newest(made.download(tmp_path / "out"))


def test_an_object_that_came_is_embedded_and_one_that_went_is_gone(made: World, tmp_path: Path) -> None:
    made.put("a.png", png(10))
    made.put("b.png", png(20))
    assert arrivals.run([message("a.png"), message("b.png")], made.work) == {"batchItemFailures": []}
    made.s3.delete_object(Bucket=SOURCE, Key="a.png")
    arrivals.run([message("a.png", "Object Deleted")], made.work)

    found = state(made, tmp_path)

    assert list(found) == ["b.png"]
    np.testing.assert_allclose(found["b.png"], vector(20), atol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_events_that_are_doubled_and_shuffled_end_in_the_buckets_state(
    made: World, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes and looks are mixed: an event is seen some time after its change, perhaps again much later."""
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000))
    monkeypatch.setattr(arrivals, "now", lambda: next(clock))
    truth: dict[str, int] = {}
    waiting: list[dict[str, Any]] = []
    for number in range(120):
        key = f"{chance.randrange(8)}.png"
        if key in truth and chance.random() < 0.4:
            made.s3.delete_object(Bucket=SOURCE, Key=key)
            del truth[key]
            waiting.append(message(key, "Object Deleted", number))
        else:
            truth[key] = chance.randrange(256)
            made.put(key, png(truth[key]))
            waiting.append(message(key, number=number))
        if chance.random() < 0.2:
            waiting.append(chance.choice(waiting))
        if chance.random() < 0.5:
            chance.shuffle(waiting)
            arrivals.run(waiting[:5], made.work)
            waiting = waiting[5:]
    chance.shuffle(waiting)
    arrivals.run(waiting, made.work)

    found = state(made, tmp_path)

    assert set(found) == set(truth)
    for key, red in truth.items():
        np.testing.assert_allclose(found[key], vector(red), atol=1e-6)


def test_an_arrival_is_newer_than_the_run(made: World, tmp_path: Path) -> None:
    made.put("a.png", png(1))
    made.put("b.png", png(2))
    rows = [{"bucket": SOURCE, "key": key, "size": 80, "seen_at": 1_700_000_000_000} for key in ("a.png", "b.png")]
    made.work.store.write("runs/first/plan/00000000.jsonl", json_lines(rows))
    shard.run("runs/first/plan/00000000.jsonl", made.work, 0.5)
    made.put("a.png", png(100))
    made.s3.delete_object(Bucket=SOURCE, Key="b.png")
    arrivals.run([message("a.png"), message("b.png", "Object Deleted")], made.work)

    found = state(made, tmp_path)

    assert list(found) == ["a.png"]
    np.testing.assert_allclose(found["a.png"], vector(100), atol=1e-6)


def test_an_image_that_was_replaced_by_a_broken_one_has_no_vector_and_a_line_in_errors(
    made: World, tmp_path: Path
) -> None:
    made.put("a.png", png(1))
    arrivals.run([message("a.png")], made.work)
    made.put("a.png", b"broken")
    assert arrivals.run([message("a.png")], made.work) == {"batchItemFailures": []}  # it would break again
    assert state(made, tmp_path) == {}
    (name,) = made.names("errors/")
    assert json.loads(made.work.store.read(name))["code"] == "not_an_image"


def test_other_kinds_of_files_are_left_alone(made: World) -> None:
    made.put("notes.txt", b"text")
    assert arrivals.run([message("notes.txt")], made.work) == {"batchItemFailures": []}
    assert made.names() == []


@pytest.mark.parametrize("body", [
    *("", "[]", "{}", '{"detail": {"bucket": {"name": "photos"}}}', "\ud800"),
    '{"detail": {"bucket": {"name": "photos"}, "object": {"key": "\\ud800.png"}}}',  # which S3 has not
])  # fmt: skip
def test_a_message_that_is_no_event_goes_back_and_holds_up_no_other(made: World, body: str) -> None:
    made.put("a.png", png(1))
    outcome = arrivals.run([{"messageId": "odd", "body": body}, message("a.png")], made.work)
    assert outcome == {"batchItemFailures": [{"itemIdentifier": "odd"}]}
    assert len(made.names("vectors/")) == 1


def test_where_s3_does_not_answer_all_messages_go_back(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    def get_object(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://s3.test")

    monkeypatch.setattr(made.s3, "get_object", get_object)
    sent = [message("a.png"), message("b.png")]
    outcome = arrivals.run(sent, made.work)
    assert outcome == {"batchItemFailures": [{"itemIdentifier": item["messageId"]} for item in sent]}
    assert made.names() == []


def refuse(made: World, monkeypatch: pytest.MonkeyPatch, code: str, *keys: str) -> None:
    """Let S3 answer with `code` for these keys."""
    from botocore.exceptions import ClientError

    get_object = made.s3.get_object

    def refused(**asked: Any) -> Any:
        if asked["Key"] in keys:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")
        return get_object(**asked)

    monkeypatch.setattr(made.s3, "get_object", refused)


@pytest.mark.parametrize("code", REFUSALS)
def test_an_object_that_s3_does_not_give_keeps_its_vector_and_is_embedded_once_it_is_given(
    made: World, tmp_path: Path, code: str
) -> None:
    made.put("a.png", png(1))
    arrivals.run([message("a.png")], made.work)
    made.put("a.png", png(100))
    made.put("b.png", png(2))
    with pytest.MonkeyPatch.context() as patch:
        refuse(made, patch, code, "a.png")
        twice = [message("a.png"), message("b.png"), message("a.png", number=1)]
        outcome = arrivals.run(twice, made.work)
    kept = state(made, tmp_path)
    arrivals.run([message("a.png")], made.work)

    returned = [item["itemIdentifier"] for item in outcome["batchItemFailures"]]
    assert returned == ["a.png-Object Created-0", "a.png-Object Created-1"]
    np.testing.assert_allclose(kept["a.png"], vector(1), atol=1e-6)
    np.testing.assert_allclose(kept["b.png"], vector(2), atol=1e-6)
    np.testing.assert_allclose(state(made, tmp_path)["a.png"], vector(100), atol=1e-6)


def test_an_archived_object_keeps_its_vector_and_is_embedded_when_it_is_restored(made: World, tmp_path: Path) -> None:
    made.put("a.png", png(1))
    arrivals.run([message("a.png")], made.work)
    made.s3.put_object(Bucket=SOURCE, Key="a.png", Body=png(10), StorageClass="GLACIER")
    archived = arrivals.run([message("a.png")], made.work)
    kept = state(made, tmp_path / "kept")
    [errors] = made.names("errors/")
    made.s3.restore_object(Bucket=SOURCE, Key="a.png", RestoreRequest={"Days": 1})

    outcome = arrivals.run([message("a.png", "Object Restore Completed")], made.work)

    assert archived == outcome == {"batchItemFailures": []}  # a message that comes again would bring nothing new
    np.testing.assert_allclose(kept["a.png"], vector(1), atol=1e-6)
    told = json.loads(made.work.store.read(errors))
    assert (told["key"], told["code"], "restore" in told["message"]) == ("a.png", "object_archived", True)
    np.testing.assert_allclose(state(made, tmp_path)["a.png"], vector(10), atol=1e-6)


def test_an_object_that_may_not_be_read_is_in_errors_once_however_often_it_is_tried(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(made, monkeypatch, "AccessDenied", "a.png")
    for _ in range(3):
        arrivals.run([message("a.png")], made.work)

    (name,) = made.names()
    line = json.loads(made.work.store.read(name))
    assert (line["key"], line["code"]) == ("a.png", "object_not_readable")
    assert "s3:ListBucket" in line["message"]  # without it an object that is gone looks like this


def test_where_s3_is_away_it_is_not_asked_for_every_object(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get_object(**wanted: Any) -> Any:
        asked.append(wanted["Key"])
        raise ConnectionError

    monkeypatch.setattr(made.s3, "get_object", get_object)
    sent = [message(f"{number}.png") for number in range(100)]
    outcome = arrivals.run(sent, made.work)

    assert len(outcome["batchItemFailures"]) == 100
    assert len(asked) < 50


def test_a_delete_marker_hides_the_object_and_its_removal_brings_it_back(made: World, tmp_path: Path) -> None:
    made.s3.put_bucket_versioning(Bucket=SOURCE, VersioningConfiguration={"Status": "Enabled"})
    made.put("a.png", png(1))
    arrivals.run([message("a.png")], made.work)
    marker = made.s3.delete_object(Bucket=SOURCE, Key="a.png")["VersionId"]
    arrivals.run([message("a.png", "Object Deleted")], made.work)
    hidden = state(made, tmp_path / "hidden")
    made.s3.delete_object(Bucket=SOURCE, Key="a.png", VersionId=marker)
    arrivals.run([message("a.png", "Object Deleted")], made.work)

    assert hidden == {}
    np.testing.assert_allclose(state(made, tmp_path / "back")["a.png"], vector(1), atol=1e-6)
