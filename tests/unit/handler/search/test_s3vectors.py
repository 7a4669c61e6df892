"""An index in S3 Vectors: what is written, against moto; what is asked, against the service's own model."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.client import Config
from botocore.stub import Stubber
from moto import mock_aws

from handler.errors import ApiError
from handler.search import s3vectors
from handler.search.records import About, Gone, Item, Range, Where
from handler.search.s3vectors import S3VectorsIndex
from infra import vector_stack

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
    index.put([item("a.png", 1), item("b.png", 1)])
    index.put([item("a.png", 2, (0.0, 1.0, 0.0, 0.0), "f")])

    found = stored(service)
    assert set(found) == {"photos/a.png", "photos/b.png"}
    assert found["photos/a.png"]["data"]["float32"] == [0, 1, 0, 0]
    facts = found["photos/a.png"]["metadata"]
    assert {name: facts[name] for name in ("etag", "size", "last_modified", "width", "height", "seen_at")} == {
        "etag": "f", "size": 10, "last_modified": 1_000, "width": 64, "height": 48, "seen_at": 2,
    }  # fmt: skip
    assert index.count() == 2


@pytest.mark.parametrize("later", [item("a.png", 5), Gone("photos", "a.png", 5)])
@pytest.mark.parametrize("older", [item("a.png", 4, etag="z"), Gone("photos", "a.png", 4), item("a.png", 5, etag="a")])
def test_the_latest_look_of_a_key_counts_in_whatever_order_they_come(
    index: S3VectorsIndex, service: Any, later: Item | Gone, older: Item | Gone
) -> None:
    def write(record: Item | Gone) -> None:
        index.delete([record]) if isinstance(record, Gone) else index.put([record])

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
    index.put([item(f"{number}.png", 1) for number in range(1_201)])
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
        index.put([item(f"{number}.png", 1)._replace(vector=vector) for number in range(250)])
    finally:
        service.meta.events.unregister("before-send.s3vectors.PutVectors", unique_id="size")
    assert len(bodies) > 1
    assert max(bodies) < 20 * 1024 * 1024


def test_an_index_of_another_bundle_is_refused_and_names_the_rebuild(index: S3VectorsIndex, service: Any) -> None:
    assert S3VectorsIndex(PLACE, service).about() == ABOUT
    with pytest.raises(ApiError, match="rebuild") as caught:
        S3VectorsIndex(PLACE, service).prepare(OTHER)
    assert caught.value.code == "index_of_another_model"
    service.create_index(**{**WHERE, "indexName": "new"}, dataType="float32", dimension=4, distanceMetric="cosine")
    with pytest.raises(ApiError, match="takes vectors of 4 numbers") as caught:
        S3VectorsIndex("s3vectors:photos-vectors/new", service).prepare(ABOUT._replace(dimensions=8))
    assert caught.value.code == "index_of_another_model"


def test_what_is_not_there_is_said_to_be_missing(service: Any) -> None:
    for index in (S3VectorsIndex(PLACE, service), S3VectorsIndex("s3vectors:photos-vectors/nowhere", service)):
        with pytest.raises(ApiError) as caught:
            index.about()
        assert (caught.value.code, caught.value.status) == ("index_not_found", 404)


def ask(client: Any, act: Callable[[S3VectorsIndex], Any], *answers: tuple[str, dict[str, Any], dict[str, Any]]) -> Any:
    """Act on an index whose requests have to be these; the service's own model validates each, and the answers."""
    with Stubber(client) as stubber:
        for operation, request, answer in answers:
            stubber.add_response(operation, answer, {**WHERE, **request})
        found = act(S3VectorsIndex(PLACE, client))
        stubber.assert_no_pending_responses()
    return found


def found(number: int) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "etag": "e",
        "size": 10.0,
        "last_modified": 1_000.0,
        "width": 64.0,
        "height": 48.0,
        "gone": False,
    }
    return {
        "key": f"digest{number}",
        "distance": 0.25,
        "metadata": {"bucket": "photos", "key": f"{number}.png", **facts},
    }


def test_a_query_is_what_the_service_takes_and_leaves_out_what_is_gone(client: Any) -> None:
    request = {
        "topK": 2,
        "queryVector": {"float32": [0.0, 1.0, 0.0, 0.0]},
        "filter": {"gone": {"$eq": False}},
        "returnMetadata": True,
        "returnDistance": True,
    }
    answer = {"distanceMetric": "cosine", "vectors": [found(1), found(2)]}
    hits = ask(
        client, lambda index: index.query(np.array([0, 1, 0, 0], np.float32), 2), ("query_vectors", request, answer)
    )

    assert [(hit.bucket, hit.key, hit.score, hit.vector) for hit in hits] == [
        ("photos", "1.png", 0.75, None), ("photos", "2.png", 0.75, None),
    ]  # fmt: skip
    assert json.dumps(dict(hits[0].metadata)) == json.dumps(
        {"etag": "e", "size": 10, "last_modified": "1970-01-01T00:00:01.000Z", "width": 64, "height": 48}
    )


def test_a_filter_is_in_the_services_language_and_vectors_are_read_by_their_keys(client: Any) -> None:
    where = Where(bucket="photos", width=Range(10, 20), size=Range(None, 5), last_modified=Range(7, None))
    request = {
        "topK": 1,
        "queryVector": {"float32": [1.0, 0.0, 0.0, 0.0]},
        "filter": {
            "$and": [
                {"gone": {"$eq": False}}, {"bucket": {"$eq": "photos"}}, {"width": {"$gte": 10}},
                {"width": {"$lte": 20}}, {"size": {"$lte": 5}}, {"last_modified": {"$gte": 7}},
            ]
        },
        "returnMetadata": True,
        "returnDistance": True,
    }  # fmt: skip
    vectors = {"vectors": [{"key": "digest1", "data": {"float32": [0.6, 0.8, 0.0, 0.0]}}]}
    (hit,) = ask(
        client,
        lambda index: index.query(np.array([1, 0, 0, 0], np.float32), 1, where, with_vectors=True),
        ("query_vectors", request, {"distanceMetric": "cosine", "vectors": [found(1)]}),
        ("get_vectors", {"keys": ["digest1"], "returnData": True}, vectors),
    )
    np.testing.assert_allclose(hit.vector, [0.6, 0.8, 0, 0], rtol=1e-6)


def test_many_pages_are_counted_in_segments(client: Any) -> None:
    rows = [{"key": "a", "metadata": {"gone": False}}, {"key": "about", "metadata": {"gone": True}}]
    page = {"maxResults": 1_000, "returnMetadata": True}
    answers: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("list_vectors", page, {"vectors": rows, "nextToken": "more"})
    ]
    for segment in range(16):
        asked = {**page, "segmentCount": 16, "segmentIndex": segment}
        answers.append(("list_vectors", asked, {"vectors": rows, "nextToken": "on"}))
        answers.append(("list_vectors", {**asked, "nextToken": "on"}, {"vectors": rows}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3vectors, "ThreadPoolExecutor", lambda *_: InOrder())
        assert ask(client, lambda index: index.count(), *answers) == 32


class InOrder:
    """A pool of one thread: what is asked comes in a known order."""

    def __enter__(self) -> "InOrder":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def map(self, act: Callable[[int], int], over: Any) -> Any:
        return map(act, over)


@pytest.mark.parametrize(("k", "where", "param"), [(101, None, "k"), (5, Where(prefix="a/"), "filter.prefix")])
def test_what_the_service_cannot_do_is_refused_before_it_is_asked(
    client: Any, k: int, where: Where | None, param: str
) -> None:
    with Stubber(client), pytest.raises(ApiError) as caught:
        S3VectorsIndex(PLACE, client).query(np.ones(4, np.float32), k, where)
    assert (caught.value.code, caught.value.param, caught.value.status) == ("invalid_value", param, 400)


@pytest.mark.parametrize(("code", "ours"), [
    ("NotFoundException", "index_not_found"), ("TooManyRequestsException", "index_unavailable"),
    ("AccessDeniedException", "index_unavailable"), ("ServiceUnavailableException", "index_unavailable"),
])  # fmt: skip
def test_a_refusal_of_the_service_has_a_code_of_ours(client: Any, code: str, ours: str) -> None:
    with Stubber(client) as stubber:
        stubber.add_client_error("query_vectors", code, "no")
        with pytest.raises(ApiError) as caught:
            S3VectorsIndex(PLACE, client).query(np.ones(4, np.float32), 5)
    assert caught.value.code == ours


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
