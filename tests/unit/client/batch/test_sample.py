"""How many images a bucket has: S3's own listing of an emulated one, in pages of five keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from openclip_lambda.batch import sample

PAGE = 5
Lister = Callable[..., dict[str, Any]]


def bucket(keys: list[str]) -> Lister:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="photos")
    for number, key in enumerate(keys):
        s3.put_object(Bucket="photos", Key=key, Body=b"x" * (1 + number % 3))

    def page(**asked: Any) -> dict[str, Any]:
        return dict(s3.list_objects_v2(Bucket="photos", **{**asked, "MaxKeys": min(PAGE, asked.get("MaxKeys", PAGE))}))

    return page


@mock_aws
def test_a_small_source_is_counted_to_the_last_object() -> None:
    keys = [f"in/{number:03d}.PNG" for number in range(50)] + ["in/notes.txt", "elsewhere/a.png"]
    found = sample.of_bucket(bucket(keys), "in/", 60)
    assert (found.objects, found.images, found.bytes) == (51, 50, sum(1 + number % 3 for number in range(50)))
    assert (found.error, found.complete, found.requests) == (0, True, 11)


TREES = {
    "one flat folder": [f"2026/photos/IMG_{number:05d}.jpg" for number in range(400)],
    "many folders": [
        f"{year}/{month:02d}/{number:03d}.jpg"
        for year in range(2020, 2026)
        for month in range(1, 13)
        for number in range(20)
    ],
    "a sidecar each": [f"a/{number:04d}{ending}" for number in range(200) for ending in (".jpg", ".txt")],
    "folders with markers": [
        "x/",
        *(f"x/{name}/" for name in "abcd"),
        *(f"x/{name}/{n:03d}.png" for name in "abcd" for n in range(90)),
    ],
    "other scripts": [f"照片/{letter}{number:03d}.webp" for letter in "äöü中文字" for number in range(60)],
}


@pytest.mark.parametrize("keys", TREES.values(), ids=TREES.keys())
def test_a_large_source_is_estimated_from_a_bounded_number_of_requests(keys: list[str]) -> None:
    images = sum(key.endswith((".jpg", ".png", ".webp")) for key in keys)
    with mock_aws():
        found = sample.of_bucket(bucket(keys), "", 300)
    assert found.complete
    assert found.requests <= 300
    assert 0 < len(keys) * 0.8 < found.objects < len(keys) * 1.2
    assert images * 0.8 < found.images < images * 1.2
    assert abs(found.images - images) <= max(4 * found.error, 0.02) * images


@mock_aws
def test_where_the_requests_do_not_suffice_the_numbers_are_a_lower_bound() -> None:
    found = sample.of_bucket(bucket([f"{number:05d}.jpg" for number in range(1000)]), "", 8)
    assert not found.complete
    assert found.requests <= 8
    assert 10 <= found.images <= 300


def test_a_folder_is_counted_as_its_run_plans_it(tmp_path: Path) -> None:
    from handler.batch.folder_plan import plan
    from handler.batch.store import Directory

    for name in ("a.png", "sub/b.JPG", ".hidden.png", "notes.txt"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"1234")
    planned = plan(tmp_path / "photos", Directory(tmp_path / "out"), "local", 10)
    found = sample.of_folder(tmp_path / "photos")
    assert (found.images, found.bytes) == (planned["images"], planned["bytes"]) == (2, 8)
