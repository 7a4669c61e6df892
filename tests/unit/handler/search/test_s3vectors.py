"""An index in S3 Vectors: what is written, against moto, which stores and does not rank."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.client import Config
from moto import mock_aws

from handler.errors import ApiError
from handler.search import s3vectors
from handler.search.fill import fill
from handler.search.records import About, Gone, Item, Range, Where
from handler.search.s3vectors import S3VectorsIndex
from handler.search.source import Source
from infra import vector_stack
from tests.unit.search_files import lines, parquet, save

PLACE = "s3vectors:photos-vectors/openclip-abc"
WHERE = {"vectorBucketName": "photos-vectors", "indexName": "openclip-abc"}
ABOUT = About("org/model", "a" * 64, {"normalize": True}, 4)
OTHER = About("org/model", "b" * 64, {"normalize": True}, 4)


def item(key: str, seen_at: int, vector: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0), etag: str = "e") -> Item:
    return Item("photos", key, etag, 10, 1_000, seen_at, 64, 48, np.array(vector, np.float32))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # one that is older than moto is not taken over
    return boto3.client("s3vectors", region_name="eu-west-1", config=Config(retries={"max_attempts": 1}))


@pytest.fixture
def service(client: Any) -> Iterator[Any]:
    """The service, with what the deployment makes."""
    with mock_aws():
        client.create_vector_bucket(vectorBucketName=WHERE["vectorBucketName"])
        client.create_index(**WHERE, dataType="float32", dimension=4, distanceMetric="cosine")
        yield client


@pytest.fixture
def index(service: Any) -> S3VectorsIndex:
    made = S3VectorsIndex(PLACE, service)
    made.prepare(ABOUT)
    return made


def stored(service: Any) -> dict[str, dict[str, Any]]:
    """The records that are not the one of the model, by bucket and key."""
    found = service.list_vectors(**WHERE, returnMetadata=True, returnData=True)["vectors"]
    return {f"{one['metadata']['bucket']}/{one['metadata']['key']}": one for one in found if one["key"] != "about"}


def test_records_are_put_replaced_and_counted(index: S3VectorsIndex, service: Any) -> None:
    index.put([item("a.png", 1), item("b.png", 1)], ABOUT)
    index.put([item("a.png", 2, (0.0, 1.0, 0.0, 0.0), "f")], ABOUT)

    found = stored(service)
    assert set(found) == {"photos/a.png", "photos/b.png"}
    assert found["photos/a.png"]["data"]["float32"] == [0, 1, 0, 0]
    facts = found["photos/a.png"]["metadata"]
    assert {name: facts[name] for name in ("etag", "size", "last_modified", "width", "height", "seen_at")} == {
        "etag": "f", "size": 10, "last_modified": 1_000, "width": 64, "height": 48, "seen_at": 2,
    }  # fmt: skip
    assert index.count() == 2


def test_vectors_of_another_model_are_refused(index: S3VectorsIndex, service: Any) -> None:
    with pytest.raises(ApiError) as refused:
        index.put([item("a.png", 1)], ABOUT._replace(manifest_sha256="cd" * 32))
    assert (refused.value.code, stored(service)) == ("index_of_another_model", {})


@pytest.mark.parametrize("later", [item("a.png", 5), Gone("photos", "a.png", 5)])
@pytest.mark.parametrize("older", [item("a.png", 4, etag="z"), Gone("photos", "a.png", 4), item("a.png", 5, etag="a")])
def test_the_latest_look_of_a_key_counts_in_whatever_order_they_come(
    index: S3VectorsIndex, service: Any, later: Item | Gone, older: Item | Gone
) -> None:
    def write(record: Item | Gone) -> None:
        index.delete([record]) if isinstance(record, Gone) else index.put([record], ABOUT)

    for order in ([later, older], [older, later], [later, older, later]):
        for record in order:
            write(record)
        facts = stored(service)["photos/a.png"]["metadata"]
        assert facts["seen_at"] == 5
        assert facts["gone"] == isinstance(later, Gone)
        assert index.count() == (0 if facts["gone"] else 1)


def test_a_call_holds_at_most_what_the_service_takes(index: S3VectorsIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[str, list[int]] = {"put_vectors": [], "get_vectors": []}
    call = index._call

    def counted(operation: str, **arguments: Any) -> Any:
        if operation in sizes:
            sizes[operation].append(len(arguments.get("vectors") or arguments["keys"]))
        return call(operation, **arguments)

    monkeypatch.setattr(index, "_call", counted)
    index.put([item(f"{number}.png", 1) for number in range(1_201)], ABOUT)
    assert sizes["put_vectors"] == [500, 500, 201]
    assert max(sizes["get_vectors"]) == 100
    assert index.count() == 1_201


def test_large_vectors_go_in_smaller_calls(service: Any) -> None:
    wide = {**WHERE, "indexName": "wide"}
    service.create_index(**wide, dataType="float32", dimension=4095, distanceMetric="cosine")
    index = S3VectorsIndex("s3vectors:photos-vectors/wide", service)
    index.prepare(ABOUT._replace(dimensions=4095))
    bodies: list[int] = []
    service.meta.events.register(
        "before-send.s3vectors.PutVectors", lambda request, **_: bodies.append(len(request.body)), unique_id="size"
    )
    vector = np.random.default_rng(7).normal(size=4095).astype(np.float32)
    try:
        index.put([item(f"{number}.png", 1)._replace(vector=vector) for number in range(250)], ABOUT)
    finally:
        service.meta.events.unregister("before-send.s3vectors.PutVectors", unique_id="size")
    assert len(bodies) > 1
    assert max(bodies) < 20 * 1024 * 1024


def test_an_index_of_another_bundle_is_refused_and_no_rebuild_is_named_that_would_be_too(
    index: S3VectorsIndex, service: Any, tmp_path: Path
) -> None:
    assert S3VectorsIndex(PLACE, service).about() == ABOUT
    folder = save({"vectors/model=x/run=a/0.parquet": parquet([item("a", 1)], OTHER)}, tmp_path)
    for act in (index.prepare, lambda _: fill(Source(str(folder)), index)):
        with pytest.raises(ApiError, match="name this bundle's, which its deployment makes") as caught:
            act(OTHER)
        assert caught.value.code == "index_of_another_model"
        assert "rebuild" not in caught.value.message
    service.create_index(**{**WHERE, "indexName": "new"}, dataType="float32", dimension=4, distanceMetric="cosine")
    with pytest.raises(ApiError, match="takes vectors of 4 numbers") as caught:
        S3VectorsIndex("s3vectors:photos-vectors/new", service).prepare(ABOUT._replace(dimensions=8))
    assert caught.value.code == "index_of_another_model"


def test_what_is_not_there_is_said_to_be_missing(service: Any) -> None:
    for index in (S3VectorsIndex(PLACE, service), S3VectorsIndex("s3vectors:photos-vectors/nowhere", service)):
        with pytest.raises(ApiError) as caught:
            index.about()
        assert (caught.value.code, caught.value.status) == ("index_not_found", 404)


def test_throttling_is_waited_out(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    s3vectors._client.cache_clear()
    patient = S3VectorsIndex.open(PLACE)
    answers = iter([429, 503, 429])
    client: Any = patient._client

    def refuse(request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        status = next(answers, None)
        if status is None:
            return None
        code = "TooManyRequestsException" if status == 429 else "ServiceUnavailableException"

        class Raw:
            def stream(self) -> Iterator[bytes]:
                yield json.dumps({"message": "slow down", "__type": code}).encode()

        return AWSResponse(request.url, status, {"x-amzn-errortype": code}, Raw())

    monkeypatch.setattr("time.sleep", lambda _: None)
    client.meta.events.register_first("before-send.s3vectors.PutVectors", refuse)
    patient.prepare(ABOUT)
    s3vectors._client.cache_clear()
    assert next(answers, None) is None
    assert patient.about() == ABOUT


def test_a_record_is_within_the_services_limits_and_the_deployment_names_what_no_query_filters() -> None:
    """At most 2 KB of metadata to filter by, 40 KB in all, 50 keys: "Limitations and restrictions"."""
    from handler.search import s3vectors_records

    worst = Item(
        "b" * 255, "k" * 1024, "e" * 64, 2**63 - 1, 2**63 - 1, 2**63 - 1, 2**31 - 1, 2**31 - 1, np.ones(4, np.float32)
    )
    record = s3vectors_records.vector_of("n", worst, 4)
    unfiltered = set(vector_stack.UNFILTERED)
    filtered = {name: value for name, value in record["metadata"].items() if name not in unfiltered}
    assert len(json.dumps(filtered)) < 2_000
    assert len(json.dumps(record["metadata"])) < 40_000
    assert {"key", "etag", "about"} == unfiltered
    assert not unfiltered & set(
        json.dumps(s3vectors_records.filter_of(Where("b", None, *[Range(1, 2)] * 4))).split('"')
    )


def test_an_index_is_filled_while_small_files_are_put_together(
    index: S3VectorsIndex, service: Any, tmp_path: Path
) -> None:
    """Compaction removes what was listed: while the files are chosen, and while they are read."""
    items = [item(f"{number}.png", 1) for number in range(4)]
    small = {f"vectors/model=x/run=arrivals/{one.key}.parquet": parquet([one], ABOUT) for one in items}
    gone = {"deletions/model=x/run=arrivals/0.jsonl": lines([Gone("photos", "0.png", 9)])}
    folder = save({**small, **gone}, tmp_path)
    to_come = {"files": "3.png.parquet", "rows": "2.png.parquet"}

    def compact(name: str, done: int, _: int) -> None:
        if done != 1 or name not in to_come:
            return
        (folder / "vectors/model=x/run=arrivals" / to_come.pop(name)).unlink()
        save({"vectors/model=x/run=arrivals/all.parquet": parquet(items, ABOUT)}, folder)
        if name == "rows":  # what is put together so late was not listed
            save({"deletions/model=x/run=arrivals/all.jsonl": lines([Gone("photos", "0.png", 9)])}, folder)
            (folder / next(iter(gone))).unlink()

    made = fill(Source(str(folder)), index, "", compact)
    assert not to_come
    assert (made.rows, made.late) == (3, 1)
    assert {key for key, one in stored(service).items() if not one["metadata"]["gone"]} == {
        "photos/1.png", "photos/2.png", "photos/3.png",
    }  # fmt: skip


def test_a_filled_index_tells_how_many_keys_are_gone_and_not_how_many_deletions_there_are(
    index: S3VectorsIndex, tmp_path: Path
) -> None:
    """Of what was changed a deletion comes before the vector; of what is gone there may be several."""
    folder = save({"vectors/model=x/run=a/0.parquet": parquet([item("a", 1), item("b", 1)], ABOUT)}, tmp_path)
    save({"vectors/model=x/run=b/0.parquet": parquet([item("a", 3)], ABOUT)}, folder)
    gone = [Gone("photos", "a", 2), Gone("photos", "b", 2), Gone("photos", "b", 3)]
    save({f"deletions/model=x/run=b/{number}.jsonl": lines([one]) for number, one in enumerate(gone)}, folder)
    made = fill(Source(str(folder)), index)
    assert (made.rows, made.gone, made.read) == (1, 1, 6)
