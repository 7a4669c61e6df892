"""The entry points beside the search's own: index updates of a queue's messages, and the rebuild."""

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from handler.errors import ApiError
from handler.search import index as shared
from handler.search import rebuild_app, updates_app
from handler.search.fill import fill
from handler.search.lance import LanceIndex
from handler.search.records import About, Gone
from handler.search.s3vectors import S3VectorsIndex
from handler.search.source import Source, SourceError
from tests.unit import fake_bundle
from tests.unit.search_files import history, lines, parquet, save, spread
from tests.unit.search_s3 import BUCKET, served
from tests.unit.search_world import ABOUT, content, expected, item, made, newest_of

OTHER = ABOUT._replace(manifest_sha256="cd" * 32)


class Files(dict[str, bytes]):
    """A store of named bytes."""

    def read(self, name: str) -> bytes:
        try:
            return self[name]
        except KeyError as error:
            raise FileNotFoundError(name) from error


def message(name: str, number: int = 0) -> dict[str, Any]:
    """What SQS hands on of an event: docs.aws.amazon.com: AmazonS3, "EventBridge event message structure"."""
    detail = {"version": "0", "bucket": {"name": "vectors"}, "object": {"key": name, "size": 1, "etag": "e"}}
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    return {"messageId": f"{number}-{name}", "body": json.dumps(event)}


def returned(outcome: Mapping[str, Any]) -> set[str]:
    return {one["itemIdentifier"] for one in outcome["batchItemFailures"]}


def test_messages_in_any_order_twice_and_late_give_the_newest_look_of_every_key(tmp_path: Path) -> None:
    records = history(150, seed=5)
    files = Files(spread(records, 8))
    names = [*files, *files]
    random.Random(3).shuffle(names)  # noqa: S311
    index = made(tmp_path)

    for start in range(0, len(names), 5):
        batch = [message(name, number) for number, name in enumerate(names[start : start + 5])]
        assert returned(updates_app.run(batch, files, index, ABOUT)) == set()

    assert content(index) == expected(records)


def test_a_broken_file_goes_back_alone_and_the_others_are_indexed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = item("a.png", [1] * 8)
    files = Files({"vectors/m/r/good.parquet": parquet([good]), "vectors/m/r/bad.parquet": b"PAR1 no"})
    index = made(tmp_path)
    strange = [
        {"messageId": "no json", "body": "{"},
        {"messageId": "no event", "body": "[]"},
        {"messageId": "no key", "body": json.dumps({"detail": {"object": {}}})},
    ]

    outcome = updates_app.run([*map(message, files), *strange], files, index, ABOUT)

    assert returned(outcome) == {"0-vectors/m/r/bad.parquet", "no json", "no event", "no key"}
    assert content(index) == expected([good])
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[0]["index_update_failed"]["file"] == "vectors/m/r/bad.parquet"
    assert said[-1] == {"index_updates": {"files": 2, "returned": 4}}


def test_a_file_that_s3_does_not_give_goes_back_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Denied(Files):
        def read(self, name: str) -> bytes:
            if name == "vectors/m/r/denied.parquet":
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")
            return super().read(name)

    good = item("a.png", [1] * 8)
    files = Denied({"vectors/m/r/good.parquet": parquet([good]), "vectors/m/r/denied.parquet": b""})
    index = made(tmp_path)

    assert returned(updates_app.run([*map(message, files)], files, index, ABOUT)) == {"0-vectors/m/r/denied.parquet"}
    assert content(index) == expected([good])
    assert "AccessDenied" in json.loads(capsys.readouterr().out.splitlines()[0])["index_update_failed"]["message"]


def test_a_file_that_is_not_there_any_more_or_is_of_another_bundle_is_not_tried_again(tmp_path: Path) -> None:
    index = made(tmp_path)
    files = Files({"vectors/m/r/other.parquet": parquet([item("a.png", [1] * 8)], OTHER)})
    messages = [message("vectors/m/r/other.parquet"), message("vectors/m/r/gone.parquet")]
    assert returned(updates_app.run(messages, files, index, ABOUT)) == set()
    assert content(index) == {}
    assert returned(updates_app.run(messages, files, index, OTHER)) == set()  # an index that waits for its rebuild
    assert index.about() == ABOUT


def test_a_deletion_that_comes_before_there_is_an_index_is_remembered(tmp_path: Path) -> None:
    index, old = LanceIndex(str(tmp_path)), item("a.png", [1] * 8, seen_at=1)
    files = Files(
        {"deletions/m/r/1.jsonl": lines([Gone("photos", "a.png", 2)]), "vectors/m/r/1.parquet": parquet([old])}
    )
    for name in files:
        assert returned(updates_app.run([message(name)], files, index, ABOUT)) == set()
    assert content(index) == {}


def test_an_index_that_does_not_answer_gets_its_messages_again(tmp_path: Path) -> None:
    class Away(LanceIndex):
        def put(self, items: Any, about: Any) -> None:
            raise ApiError("index_unavailable", "away")

    made(tmp_path)
    files = Files({"vectors/m/r/a.parquet": parquet([item("a.png", [1] * 8)])})
    away = Away(str(tmp_path))
    outcome = updates_app.run([message(name) for name in files], files, away, ABOUT)
    assert returned(outcome) == {"0-vectors/m/r/a.parquet"}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The batch's bucket and the functions' environment, over a bundle of ABOUT's kind."""
    bundle = fake_bundle.write(tmp_path / "bundle")
    with served() as (client, _):
        monkeypatch.setenv("OPENCLIP_BUNDLE_DIR", str(bundle))
        monkeypatch.setenv("OPENCLIP_BATCH_OUTPUT", BUCKET)
        monkeypatch.setenv("OPENCLIP_INDEX", f"s3://{BUCKET}/index")
        for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):  # of the test before
            client.delete_object(Bucket=BUCKET, Key=one["Key"])
        updates_app._about.cache_clear()
        yield client
    updates_app._about.cache_clear()


def ours(bundle: Path) -> About:
    from handler import manifest

    return ABOUT._replace(manifest_sha256=manifest.load(bundle).sha256)


def test_a_rebuild_takes_this_bundles_vectors_and_updates_follow_it(bucket: Any, tmp_path: Path) -> None:
    about = ours(tmp_path / "bundle")
    records = history(60, seed=2)
    files = {**spread(records, 4, about=about), "vectors/model=other/run=r/0.parquet": parquet([], OTHER)}
    for name, data in files.items():
        bucket.put_object(Bucket=BUCKET, Key=name, Body=data)

    told = rebuild_app.lambda_handler({}, None)

    index = LanceIndex(f"s3://{BUCKET}/index")
    assert content(index) == expected(records)
    assert told["rows"] == len(newest_of(records))
    new, name = item("new.png", [1] * 8), f"vectors/model={about.manifest_sha256[:12]}/run=arrivals/1.parquet"
    bucket.put_object(Bucket=BUCKET, Key=name, Body=parquet([new], about))
    assert returned(updates_app.lambda_handler({"Records": [message(name)]}, None)) == set()
    assert content(LanceIndex(f"s3://{BUCKET}/index")) == expected([*records, new])


def test_a_rebuild_without_vectors_of_this_bundle_fails_and_leaves_the_index(bucket: Any, tmp_path: Path) -> None:
    index = LanceIndex(f"s3://{BUCKET}/index")
    index.prepare(OTHER)
    bucket.put_object(Bucket=BUCKET, Key="vectors/model=other/run=r/0.parquet", Body=parquet([], OTHER))
    with pytest.raises(SourceError, match="has no vectors of bundle"):
        rebuild_app.lambda_handler({}, None)
    assert index.about() == OTHER


def test_an_index_in_s3_vectors_is_filled_with_the_newest_look_of_every_key(tmp_path: Path) -> None:
    records = history(80, seed=4)
    place = save(spread(records, 5), tmp_path)
    with mock_aws():
        client = boto3.Session().client("s3vectors", region_name="eu-west-1")
        where = {"vectorBucketName": "photos-vectors", "indexName": "openclip-abc"}
        client.create_vector_bucket(vectorBucketName="photos-vectors")
        client.create_index(**where, dataType="float32", dimension=8, distanceMetric="cosine")
        index = S3VectorsIndex("s3vectors:photos-vectors/openclip-abc", client)
        for _ in range(2):  # again: nothing changes
            told = fill(Source(str(place)), index)
        assert told.rows == index.count() == len(newest_of(records))
        rows = client.list_vectors(**where, returnMetadata=True)["vectors"]
    there = {f"{one['metadata']['bucket']}/{one['metadata']['key']}" for one in rows if not one["metadata"]["gone"]}
    assert there == set(newest_of(records))


def test_refusals_name_the_deployments_own_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLIP_SEARCH_REBUILD", "aws lambda invoke --function-name rebuild")
    with pytest.raises(ApiError, match="`aws lambda invoke --function-name rebuild`"):
        shared.check_same(OTHER, ABOUT, "s3://vectors/index")
    assert "aws lambda invoke" in shared.not_found("s3://vectors/index").message
