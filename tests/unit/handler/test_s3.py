"""References to S3: which are read at all, and what an object may weigh. Fetching itself: tests/clients/test_s3.py."""

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from handler.errors import ApiError
from handler.imaging import s3
from handler.imaging.s3 import TOTAL_OBJECTS, Budget, S3Object, parse
from handler.settings import Settings
from tests.patience import SECONDS
from tests.unit.fake_bundle import FakeFunction

SETTINGS = Settings(allowed_buckets=("photos", "more.photos"), max_object_bytes=100)


@pytest.mark.parametrize(
    ("reference", "key", "version"),
    [
        ("s3://photos/cat.jpg", "cat.jpg", None),
        ("s3://photos/a/b c/ü?x=1&y.png", "a/b c/ü?x=1&y.png", None),  # S3's keys are what they are: nothing is decoded
        ("s3://photos/cat.jpg?versionId=3HL4kqtJvjVBH40Nrjfkd", "cat.jpg", "3HL4kqtJvjVBH40Nrjfkd"),
        ("S3://photos//cat%20.jpg?versionId=", "/cat%20.jpg", None),
        ("s3://photos/c", "c", None),
        ("s3://photos/" + "ü" * 512, "ü" * 512, None),  # AmazonS3 "Naming Amazon S3 objects": up to 1,024 bytes
    ],
)
def test_a_reference_is_bucket_key_and_perhaps_a_version(reference: str, key: str, version: str | None) -> None:
    assert parse(reference, "input", SETTINGS) == S3Object("photos", key, version)


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("s3://photo/cat.jpg", "bucket_not_allowed"),
        ("s3://photos.evil/cat.jpg", "bucket_not_allowed"),
        ("s3://photos@evil/cat.jpg", "bucket_not_allowed"),
        ("s3:///cat.jpg", "bucket_not_allowed"),
        ("s3://PHOTOS/cat.jpg", "bucket_not_allowed"),
        ("s3://photos", "invalid_value"),
        ("s3://photos/", "invalid_value"),
        ("s3://photos/?versionId=1", "invalid_value"),
        ("s3://photos/" + "ü" * 513, "invalid_value"),
    ],
)
def test_any_other_bucket_and_what_is_no_key_is_refused(reference: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(reference, "input[2]", SETTINGS)
    assert (caught.value.code, caught.value.param) == (code, "input[2]")


@pytest.mark.parametrize(("key", "size"), [("", "0"), ("ü" * 513, "1,026")])
def test_a_key_that_s3_cannot_have_is_told_with_its_size(key: str, size: str) -> None:
    with pytest.raises(ApiError, match=f"a key of {size} bytes: .* with one of 1 to 1,024"):
        parse(f"s3://photos/{key}", "input", SETTINGS)


def test_without_allowed_buckets_nothing_is_read_and_nothing_imported(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle")
    status, answer = function.post({"input": [{"image": "s3://photos/cat.jpg"}]})
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "s3_not_enabled", "input[0]")
    assert "OPENCLIP_ALLOWED_BUCKETS" in answer["error"]["message"]


def test_an_object_and_all_objects_together_have_a_limit() -> None:
    where, budget = S3Object("photos", "cat.jpg", None), Budget(SETTINGS)
    with pytest.raises(ApiError, match="101 bytes: at most 100"):
        budget.take(101, where, "input[0]")
    for _ in range(TOTAL_OBJECTS):
        budget.take(100, where, "input[0]")
    with pytest.raises(ApiError, match="more than 800 bytes") as caught:
        budget.take(1, where, "input[9]")
    assert (caught.value.code, caught.value.param) == ("object_too_large", "input[9]")


def test_an_archived_object_is_told_with_how_to_restore_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        client = boto3.client("s3", "us-east-1")
        client.create_bucket(Bucket="photos")
        client.put_object(Bucket="photos", Key="cat.jpg", Body=b"image", StorageClass="DEEP_ARCHIVE")
        monkeypatch.setattr(s3, "_client", lambda: client)
        with pytest.raises(ApiError, match="is archived: restore it") as caught:
            s3.fetch([(S3Object("photos", "cat.jpg", None), "input[1]")], SETTINGS)
    assert (caught.value.code, caught.value.status, caught.value.param) == ("object_archived", 403, "input[1]")


class Stalling:
    """A client whose tries of one object take longer than a request has; `go_on` ends them."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def get_object(self, **asked: str) -> dict[str, Any]:
        if asked["Key"] == "slow.jpg":
            self.go_on.wait(SECONDS)
        return {"ContentLength": 1, "Body": SimpleNamespace(iter_chunks=lambda _: [b"x"])}


def test_no_request_waits_for_an_object_beyond_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 tries an object for 20 seconds, and may have begun when the 15 of the request were nearly over."""
    client, quick = Stalling(), S3Object("photos", "cat.jpg", None)
    monkeypatch.setattr(s3, "_client", lambda: client)
    monkeypatch.setattr(s3, "SECONDS", 0.2)
    with pytest.raises(ApiError, match=r"slow\.jpg took longer than 0\.2 s: send fewer") as caught:
        s3.fetch([(quick, "input[0]"), (S3Object("photos", "slow.jpg", None), "input[1]")], SETTINGS)
    assert (caught.value.code, caught.value.param) == ("s3_unavailable", "input[1]")
    assert not client.go_on.is_set()
    client.go_on.set()
    monkeypatch.setattr(s3, "SECONDS", SECONDS)
    assert s3.fetch([(quick, "input[0]")] * 2, SETTINGS) == {quick: b"x"}


def test_without_boto3_the_fix_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda has it. The builder's packages have botocore alone."""
    s3._made.cache_clear()
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ApiError, match="not installed here: run `pip install boto3`") as caught:
        s3.fetch([(S3Object("photos", "cat.jpg", None), "input[1]")], SETTINGS)
    assert (caught.value.code, caught.value.status, caught.value.param) == ("s3_not_enabled", 400, "input[1]")
