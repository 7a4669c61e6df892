"""The planner: every image of the source in plan files, in as many calls as it takes."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from handler.batch.rows import read_plan

SOURCE, OUTPUT = "photos", "vectors"


class Context:
    """Of Lambda: `calls` looks at the clock until the time is nearly up."""

    def __init__(self, calls: int = 1000) -> None:
        self.calls = calls

    def get_remaining_time_in_millis(self) -> int:
        self.calls -= 1
        return 600_000 if self.calls > 0 else 1000


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, with both buckets in an emulated S3."""
    variables = {"SOURCE_BUCKET": SOURCE, "OUTPUT_BUCKET": OUTPUT, "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        from infra.functions.planner import index

        client = boto3.client("s3")
        for name in (SOURCE, OUTPUT):
            client.create_bucket(Bucket=name)
        monkeypatch.setattr(index, "s3", client)
        yield index


def fill(planner: Any, keys: list[str]) -> None:
    for key in keys:
        planner.s3.put_object(Bucket=SOURCE, Key=key, Body=b"12345")


def planned(planner: Any, run: str) -> list[list[str]]:
    names = [item["Key"] for item in planner.s3.list_objects_v2(Bucket=OUTPUT, Prefix=f"runs/{run}/plan/")["Contents"]]
    bodies = [planner.s3.get_object(Bucket=OUTPUT, Key=name)["Body"].read() for name in names]
    return [[row.key for row in read_plan(body)] for body in bodies]


def test_what_the_bundle_decodes_besides_is_planned_too(planner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(planner, ["a.jpg", "b.HEIC", "c.avif", "d.tiff", "e.hif"])
    every = ["a.jpg", "b.HEIC", "c.avif", "e.hif"]
    named = (("", every[:1]), ("heic", ["a.jpg", "b.HEIC", "e.hif"]), ("avif,heic", every))
    for number, (formats, expected) in enumerate(named):
        if formats:
            monkeypatch.setenv("IMAGE_FORMATS", formats)
        planner.handler({"run": f"run{number}"}, Context())
        assert planned(planner, f"run{number}") == [expected]


def test_images_that_are_left_out_are_counted_by_their_ending(planner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(planner, ["a.jfif", "b.HEIC", "c.heic", "d.tiff", "e.txt"])
    found = planner.handler({"run": "one"}, Context())
    assert planned(planner, "one") == [["a.jfif"]]
    assert found["not_decoded"] == {".heic": 2, ".tiff": 1}
    monkeypatch.setenv("IMAGE_FORMATS", "heic")
    assert planner.handler({"run": "two"}, Context())["not_decoded"] == {".tiff": 1}
    kept = planner.s3.get_object(Bucket=OUTPUT, Key="runs/one/plan.json")["Body"].read()
    assert json.loads(kept)["not_decoded"] == {".heic": 2, ".tiff": 1}


def test_images_and_no_other_files_are_planned_in_shards(planner: Any) -> None:
    fill(planner, ["a.JPG", "b.txt", "c.png", "d/e.webp", "f.mov", "g.gif", "h.heic", "ü 中.jpeg"])
    result = planner.handler({"run": "first", "shard_size": 2}, Context())
    assert planned(planner, "first") == [["a.JPG", "c.png"], ["d/e.webp", "g.gif"], ["ü 中.jpeg"]]
    assert (result["shards"], result["images"], result["bytes"], result["more"]) == (3, 5, 25, False)
    assert re.fullmatch("runs/first/plan/[0-9a-f]{8}/", result["prefix"])


def test_a_run_may_have_a_part_of_the_source_and_keeps_it(planner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(planner, ["2026/01/a.png", "2026/02/b.png", "01/c.png"])
    monkeypatch.setenv("SOURCE_PREFIX", "2026/")
    event = {"run": "january", "source": f"s3://{SOURCE}/2026/01/"}
    first = planner.handler(event, Context())
    assert planned(planner, "january") == [["2026/01/a.png"]]
    assert first["source"] == event["source"]
    assert planner.handler(event, Context()) == first
    with pytest.raises(ValueError, match="run january is of s3://photos/2026/01/, not of s3://photos/2026/: give"):
        planner.handler({"run": "january"}, Context())


def test_two_that_plan_at_once_have_one_plan(planner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second execution lists in between, and sees an object more: its shards would not be the first's."""
    fill(planner, ["b.png", "c.png", "d.png"])
    list_objects, other = planner.s3.list_objects_v2, {}

    def meanwhile(**asked: Any) -> Any:
        page = list_objects(**asked)
        monkeypatch.setattr(planner.s3, "list_objects_v2", list_objects)
        fill(planner, ["a.png"])
        other.update(planner.handler({"run": "first", "shard_size": 2}, Context()))
        return page

    monkeypatch.setattr(planner.s3, "list_objects_v2", meanwhile)
    first = planner.handler({"run": "first", "shard_size": 2}, Context())

    assert first == other
    listed = planner.s3.list_objects_v2(Bucket=OUTPUT, Prefix=first["prefix"])["Contents"]
    rows = [read_plan(planner.s3.get_object(Bucket=OUTPUT, Key=item["Key"])["Body"].read()) for item in listed]
    assert [[row.key for row in shard] for shard in rows] == [["a.png", "b.png"], ["c.png", "d.png"]]


def test_only_what_is_below_the_prefix_is_listed(planner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(planner, ["2025/a.png", "2026/b.png", "2026x/c.png"])
    monkeypatch.setenv("SOURCE_PREFIX", "2026/")
    planner.handler({"run": "first"}, Context())
    assert planned(planner, "first") == [["2026/b.png"]]


def test_it_stops_before_its_timeout_and_goes_on_where_it_was(planner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"{number:04d}.png" for number in range(25)]
    fill(planner, keys)
    list_objects = planner.s3.list_objects_v2
    monkeypatch.setattr(planner.s3, "list_objects_v2", lambda **asked: list_objects(**asked, MaxKeys=4))
    event: dict[str, Any] = {"run": "first", "shard_size": 6}
    calls = 0
    while True:
        event["planned"] = planner.handler(event, Context(calls=2))
        calls += 1
        assert len(json.dumps(event)) < 2000  # the state of a machine holds 256 KiB
        if not event["planned"]["more"]:
            break
    monkeypatch.setattr(planner.s3, "list_objects_v2", list_objects)
    assert calls > 2
    assert [key for shard in planned(planner, "first") for key in shard] == keys
    assert event["planned"]["images"] == 25


def test_the_same_run_is_the_same_plan(planner: Any) -> None:
    fill(planner, ["a.png"])
    first = planner.handler({"run": "first"}, Context())
    fill(planner, ["b.png"])
    assert planner.handler({"run": "first"}, Context()) == first
    assert planned(planner, "first") == [["a.png"]]
    assert planner.handler({"run": "second"}, Context())["images"] == 2


def test_since_has_a_days_overlap(planner: Any) -> None:
    fill(planner, ["a.png"])
    now = datetime.now(UTC)
    for name, since, images in (
        ("hours", now + timedelta(hours=23), 1),
        ("days", now + timedelta(hours=25), 0),
    ):
        assert planner.handler({"run": name, "since": since.isoformat()}, Context())["images"] == images
    assert planner.handler({"run": "date", "since": "2020-01-31"}, Context())["images"] == 1


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"run": ""},
        {"run": "../x"},
        {"run": "a/b"},
        {"run": "arrivals"},
        {"run": "x" * 65},
        {"run": 1},
        {"run": "a", "shard_size": 20_000},
        {"run": "a", "shard_size": "10"},
        {"run": "a", "shard_size": 0},
        {"run": "a", "since": "yesterday"},
        {"run": "a", "since": "0001-01-01"},  # of which no day's overlap can be taken
        {"run": "a", "source": 1},
        {"run": "a", "source": "s3://another/"},
        {"run": "a", "source": "s3://photos-too/"},
    ],
)
def test_an_input_that_cannot_be_meant_is_refused_with_what_to_give(planner: Any, event: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give"):
        planner.handler(event, Context())


def test_an_empty_bucket_is_a_plan_of_no_shards(planner: Any) -> None:
    result = planner.handler({"run": "first"}, Context())
    assert (result["shards"], result["images"], result["more"]) == (0, 0, False)
