"""How many images a bucket has: large ones in a listing of this file, which is held to an emulated S3."""

import bisect
import json
import os
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from openclip_lambda.batch import local, sample
from openclip_lambda.cli import main as cli

from handler.batch.folder_plan import plan
from handler.batch.store import Directory
from tests.unit.client.batch.conftest import OUTPUT, SOURCE, STACK, Account


class Listing:
    """ListObjectsV2 of keys in the order of their UTF-8, as S3 has it; `size` bytes each."""

    def __init__(self, keys: list[str], page: int = 1000) -> None:
        self.keys = sorted(keys, key=str.encode)
        self._order = [key.encode() for key in self.keys]
        self._page = page

    def __call__(self, **asked: Any) -> dict[str, Any]:
        prefix, most = asked["Prefix"], min(self._page, asked.get("MaxKeys", 1000))
        after = asked.get("ContinuationToken") or asked.get("StartAfter") or ""
        start = max(bisect.bisect_left(self._order, prefix.encode()), bisect.bisect_right(self._order, after.encode()))
        end = bisect.bisect_right(self._order, prefix.encode() + b"\xff")
        found = self.keys[start : min(end, start + most)]
        page: dict[str, Any] = {"IsTruncated": start + most < end, "KeyCount": len(found)}
        if found:
            page["Contents"] = [{"Key": key, "Size": len(key)} for key in found]
        return page | ({"NextContinuationToken": found[-1]} if page["IsTruncated"] else {})


TREES = {
    "one flat folder": [f"2026/photos/IMG_{number:06d}.jpg" for number in range(120_000)],
    "many folders": [f"{y}/{m:02d}/{n:03d}.jpg" for y in range(2000, 2026) for m in range(1, 13) for n in range(400)],
    "a sidecar each": [f"a/{number:06d}{ending}" for number in range(70_000) for ending in (".jpg", ".txt")],
    "folders with markers": ["x/", *(f"x/{a}/" for a in "abcd"),
                             *(f"x/{a}/{n:05}.png" for a in "abcd" for n in range(30_000))],
    "other scripts": [f"照片/{letter}{number:05d}.webp" for letter in "äöü中文字" for number in range(20_000)],
    "random names": [f"{number * 2654435761 % 2**32:08x}.jpeg" for number in range(150_000)],
}  # fmt: skip


@mock_aws
def test_the_listing_is_that_of_s3() -> None:
    keys = ["a", "a/", "a/b.png", "a/b/c.png", "b.png", "ä/中.png", "中/1.png", "中/2.png", "z"]
    s3, listing = boto3.client("s3", region_name="us-east-1"), Listing(keys, 3)
    s3.create_bucket(Bucket="photos")
    for key in keys:
        s3.put_object(Bucket="photos", Key=key, Body=b"x" * len(key))
    last = sample.LAST
    for asked in ({}, {"StartAfter": "a/b"}, {"StartAfter": "a" + last}, {"StartAfter": "中/1" + last}, {"MaxKeys": 1}):
        for prefix in ("", "a", "a/", "中/", "none"):
            question: dict[str, Any] = {"Prefix": prefix, "MaxKeys": 3, **asked}
            theirs, ours = s3.list_objects_v2(Bucket="photos", **question), listing(**question)
            shown = [[(item["Key"], item["Size"]) for item in page.get("Contents", ())] for page in (theirs, ours)]
            assert shown[0] == shown[1], question
            assert theirs["IsTruncated"] == ours["IsTruncated"], question


def test_a_small_source_is_counted_to_the_last_object() -> None:
    keys = [f"in/{number:04d}.PNG" for number in range(2500)] + ["in/notes.txt", "elsewhere/a.png"]
    found = sample.of_bucket(Listing(keys), "in/", 400)
    assert (found.objects, found.images, found.bytes) == (2501, 2500, 2500 * len("in/0000.PNG"))
    assert (found.error, found.complete, found.requests) == (0, True, 3)


@pytest.mark.parametrize("keys", TREES.values(), ids=TREES.keys())
def test_a_large_source_is_estimated_from_a_bounded_number_of_requests(keys: list[str]) -> None:
    images = sum(key.endswith((".jpg", ".jpeg", ".png", ".webp")) for key in keys)
    found = sample.of_bucket(Listing(keys), "", 400)
    assert found.complete
    assert found.requests <= 400
    assert len(keys) * 0.8 < found.objects < len(keys) * 1.2
    assert images * 0.8 < found.images < images * 1.2
    assert abs(found.images - images) <= max(4 * found.error, 0.02) * images


def test_folders_of_very_different_sizes_are_told_as_rough() -> None:
    keys = [
        f"{a}/{n:06}.jpg" for a, size in zip("abcdef", (150_000, 10, 10, 10, 2000, 3), strict=True) for n in range(size)
    ]
    found = sample.of_bucket(Listing(keys), "", 400)
    assert found.error > 0.1
    assert abs(found.images - len(keys)) <= 4 * found.error * len(keys)


def test_where_the_requests_do_not_suffice_the_numbers_are_a_lower_bound() -> None:
    found = sample.of_bucket(Listing(TREES["random names"]), "", 8)
    assert not found.complete
    assert found.requests <= 8
    assert 2000 <= found.images <= 150_000


@pytest.mark.parametrize("folder", [b"photos", b"\xd5\xd5\xc6\xac"], ids=["photos", "in GBK"])
def test_a_folder_is_counted_as_its_run_plans_it(tmp_path: Path, folder: bytes) -> None:
    photos = tmp_path / os.fsdecode(folder)
    for name in ("a.png", "sub/b.JPG", ".hidden.png", "notes.txt"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(b"1234")
    (photos / b"\xff.png".decode(errors="surrogateescape")).write_bytes(b"1234")
    planned = plan(photos, Directory(tmp_path / "out"), "local", 10)
    found = sample.of_folder(photos)
    assert (found.images, found.bytes) == (planned["images"], planned["bytes"]) == (2, 8)


def test_formats_that_a_package_decodes_besides_are_counted_as_its_planner_counts_them(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("2026/a.png", "2026/b.HEIC", "2026/c.avif", "2026/d.hif", "2026/e.tiff"):
        account.s3.put_object(Bucket=SOURCE, Key=key, Body=b"1234")
    outputs = {"BatchMachine": account.arn, "BatchBucket": OUTPUT, "BatchSource": f"{SOURCE}/2026/"}
    account.deploy("formats", **outputs, BatchImageFormats="avif,heic")
    counted = []
    for stack in (STACK, "formats"):
        assert cli.main(["batch", "estimate", f"s3://{SOURCE}/2026/", "--stack", stack, "--json"]) == 0
        counted.append(json.loads(capsys.readouterr().out)["images"])
    assert counted == [1, 4]


def test_a_folder_is_counted_with_the_formats_of_its_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, photos = tmp_path / "bundle", tmp_path / "photos"
    for folder in (bundle, photos):
        folder.mkdir()
    for name in ("a.png", "b.heif"):
        (photos / name).write_bytes(b"1234")
    monkeypatch.setenv(local.BUNDLE, str(bundle))
    counted = []
    for target in ({}, {"image_formats": ["heic"]}):
        (bundle / "manifest.json").write_text(json.dumps({"target": target}))
        assert cli.main(["batch", "estimate", str(photos), "--json"]) == 0
        counted.append(json.loads(capsys.readouterr().out)["images"])
    assert counted == [1, 2]
