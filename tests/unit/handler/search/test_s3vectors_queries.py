"""What an index in S3 Vectors asks: the service's own model validates requests and answers. Nothing is ranked."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.client import Config
from botocore.stub import Stubber

from handler.errors import ApiError
from handler.search import s3vectors
from handler.search.records import About, Range, Where
from handler.search.s3vectors import S3VectorsIndex
from handler.search.s3vectors_records import about_vector

PLACE = "s3vectors:photos-vectors/openclip-abc"
WHERE = {"vectorBucketName": "photos-vectors", "indexName": "openclip-abc"}
ABOUT = About("org/model", "a" * 64, {"normalize": True}, 4)
OF = (
    "get_vectors",
    {"keys": ["about"], "returnMetadata": True},
    {"vectors": [{"key": "about", "metadata": about_vector(ABOUT)["metadata"]}]},
)  # what a query asks first: the vectors have to be of its model


@pytest.fixture
def client() -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("s3vectors", region_name="eu-west-1", config=Config(retries={"max_attempts": 1}), **keys)


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
        client,
        lambda index: index.query(np.array([0, 1, 0, 0], np.float32), ABOUT, 2),
        OF,
        ("query_vectors", request, answer),
    )

    assert [(hit.bucket, hit.key, hit.score, hit.vector) for hit in hits] == [
        ("photos", "1.png", 0.75, None), ("photos", "2.png", 0.75, None),
    ]  # fmt: skip
    assert json.dumps(dict(hits[0].metadata)) == json.dumps(
        {"etag": "e", "size": 10, "last_modified": "1970-01-01T00:00:01.000Z", "width": 64, "height": 48}
    )
    assert about_vector(ABOUT)["metadata"]["gone"] is True  # so the filter leaves out the record of the model, too


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
        lambda index: index.query(np.array([1, 0, 0, 0], np.float32), ABOUT, 1, where, with_vectors=True),
        OF,
        ("query_vectors", request, {"distanceMetric": "cosine", "vectors": [found(1)]}),
        ("get_vectors", {"keys": ["digest1"], "returnData": True}, vectors),
    )
    np.testing.assert_allclose(hit.vector, [0.6, 0.8, 0, 0], rtol=1e-6)


def test_hits_may_come_in_several_pages(client: Any) -> None:
    """AWS's guide, "Querying vectors": a page has a size of its own; the same query with `nextToken` gives the next."""
    request = {
        "topK": 3,
        "queryVector": {"float32": [1.0, 0.0, 0.0, 0.0]},
        "filter": {"gone": {"$eq": False}},
        "returnMetadata": True,
        "returnDistance": True,
    }
    pages: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for number in range(3):
        asked = {**request, "nextToken": f"page{number}"} if number else request
        more = {"nextToken": f"page{number + 1}"} if number < 2 else {}
        pages.append(("query_vectors", asked, {"distanceMetric": "cosine", "vectors": [found(number)], **more}))
    hits = ask(client, lambda index: index.query(np.array([1, 0, 0, 0], np.float32), ABOUT, 3), OF, *pages)
    assert [hit.key for hit in hits] == ["0.png", "1.png", "2.png"]


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
        S3VectorsIndex(PLACE, client).query(np.ones(4, np.float32), ABOUT, k, where)
    assert (caught.value.code, caught.value.param, caught.value.status) == ("invalid_value", param, 400)


def test_a_vector_of_another_model_is_refused_before_anything_is_looked_for(client: Any) -> None:
    other = ABOUT._replace(manifest_sha256="b" * 64)
    with pytest.raises(ApiError) as caught:
        ask(client, lambda index: index.query(np.ones(4, np.float32), other, 5), OF)
    assert (caught.value.code, caught.value.status) == ("index_of_another_model", 409)


@pytest.mark.parametrize(("code", "ours"), [
    ("NotFoundException", "index_not_found"), ("TooManyRequestsException", "index_unavailable"),
    ("AccessDeniedException", "index_unavailable"), ("ServiceUnavailableException", "index_unavailable"),
])  # fmt: skip
def test_a_refusal_of_the_service_has_a_code_of_ours(client: Any, code: str, ours: str) -> None:
    with Stubber(client) as stubber:
        stubber.add_response(OF[0], OF[2], {**WHERE, **OF[1]})
        stubber.add_client_error("query_vectors", code, "no")
        with pytest.raises(ApiError) as caught:
            S3VectorsIndex(PLACE, client).query(np.ones(4, np.float32), ABOUT, 5)
    assert caught.value.code == ours


def test_it_says_what_it_refuses(client: Any) -> None:
    """AWS's guide, "Limitations and restrictions": 100 hits a query. Its filters have no operator for a beginning."""
    index = S3VectorsIndex(PLACE, client)
    assert index.max_k == 100
    assert index.filters == ("bucket", "width", "height", "size", "last_modified")
    for k, where in ((101, None), (1, Where(prefix="2026/"))):
        with pytest.raises(ApiError) as refused:
            index.query(np.ones(4, np.float32), ABOUT, k, where)
        assert refused.value.code == "invalid_value"
