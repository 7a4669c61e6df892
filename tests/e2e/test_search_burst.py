"""500 changes in a burst, through the real queues: bucket, EventBridge, worker, files, index, search."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.collection import ARRIVAL_SECONDS, SEARCHED, SOURCE, drawn
from tests.e2e.deployment import Deployment

pytestmark = pytest.mark.parametrize("batch", SEARCHED, indirect=True)
PREFIX = "in/burst/"
NEW, REPLACED, DELETED, BROKEN, SPOILED = 300, 80, 60, 40, 20  # events, 500 in all
SENDERS = 8
TWICE = "burst-twice"  # a rule like the stack's own: each event comes two times


@pytest.fixture
def twice(batch: Deployment) -> Iterator[None]:
    """Let each event below PREFIX come two times."""
    events = batch.aws.client("events")
    (own,) = [rule for rule in events.list_rules()["Rules"] if f'"{SOURCE}"' in rule.get("EventPattern", "")]
    (queue,) = events.list_targets_by_rule(Rule=own["Name"])["Targets"]
    events.put_rule(Name=TWICE, EventPattern=own["EventPattern"])
    events.put_targets(Rule=TWICE, Targets=[{"Id": "queue", "Arn": queue["Arn"]}])
    yield
    events.remove_targets(Rule=TWICE, Ids=["queue"])
    events.delete_rule(Name=TWICE)


def name(number: int) -> str:
    return f"{PREFIX}{number:04d}.png"


def burst(s3: Any) -> None:
    """Make the changes, those of one key in this order and all others in any."""

    def put(key: str, data: bytes) -> None:
        s3.put_object(Bucket=SOURCE, Key=key, Body=data)

    def change(number: int) -> None:
        put(name(number), drawn(number % 100))
        if number < REPLACED:
            put(name(number), drawn(number % 100 + 7))
        elif number < REPLACED + DELETED:
            s3.delete_object(Bucket=SOURCE, Key=name(number))
        elif number < REPLACED + DELETED + SPOILED:
            put(name(number), b"no image")

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(change, range(NEW)))
        list(pool.map(lambda number: put(f"{PREFIX}broken-{number}.png", b"no image"), range(BROKEN)))


def wanted(s3: Any) -> dict[str, str]:
    """Return the etags of what the bucket has and a worker can read."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=SOURCE, Prefix=PREFIX)
    there = {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", ())}
    return {key: etag for key, etag in there.items() if s3.head_object(Bucket=SOURCE, Key=key)["ContentLength"] > 8}


def indexed(batch: Deployment) -> dict[str, str]:
    asked = {"query": "a red circle", "k": 1000, "filter": {"prefix": PREFIX}}
    reply = batch.call("/v1/search", asked, batch.bearer())
    if reply.status != 200:  # no index yet: the first file makes it
        return {}
    found = reply.json()["data"]
    assert len({hit["key"] for hit in found}) == len(found)
    return {hit["key"]: hit["metadata"]["etag"] for hit in found}


def test_the_index_equals_the_bucket_after_500_changes_that_each_come_twice(batch: Deployment, twice: None) -> None:
    s3, started = batch.aws.client("s3"), time.monotonic()
    burst(s3)
    sent, right = time.monotonic() - started, wanted(s3)
    assert len(right) == NEW - DELETED - SPOILED

    begun = time.monotonic()
    while indexed(batch) != right and time.monotonic() < begun + ARRIVAL_SECONDS:
        time.sleep(1)
    took = time.monotonic() - begun

    print(f"{NEW + REPLACED + DELETED + BROKEN + SPOILED} changes in {sent:.1f} s; in the index {took:.1f} s later")
    assert indexed(batch) == right
