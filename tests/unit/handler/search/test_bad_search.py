"""What the search refuses: each with a code, the place and the fix; and whatever a stranger sends, never a 5xx."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.errors import STATUS
from handler.schemas import limits
from handler.search.lance import LanceIndex
from handler.search.records import Item
from tests.unit.fake_bundle import SECOND, data_uri, image_bytes
from tests.unit.search_world import SearchFunction, item

IMAGE = data_uri(image_bytes())
VECTOR = {"vector": [1, 0, 0, 0]}
SEARCHES: list[tuple[Any, str, str | None]] = [
    ({}, "missing_input", "query"),
    ([], "invalid_type", None),
    ({"query": None}, "invalid_type", "query"),
    ({"query": []}, "empty_input", "query"),
    ({"query": ""}, "empty_input", "query"),
    ({"query": 7}, "invalid_type", "query"),
    ({"query": [7]}, "invalid_type", "query[0]"),
    ({"query": {}}, "invalid_value", "query"),
    ({"query": {"text": "a", **VECTOR}}, "invalid_value", "query"),
    ({"query": {"text": None}}, "invalid_type", "query.text"),
    ({"query": {"txt": "a"}}, "unknown_field", "query.txt"),
    ({"query": {"text": "a" * 10_001}}, "text_too_long", "query.text"),
    ({"query": {"text": "\ud800"}}, "invalid_value", "query.text"),
    ({"query": {"image": "https://example.org/a.png"}}, "url_not_supported", "query.image"),
    ({"query": {"image": "s3://bucket/a.png"}}, "s3_not_enabled", "query.image"),
    ({"query": {"image": "bm8gaW1hZ2U="}}, "not_an_image", "query.image"),
    ({"query": "data:image/png;base64,###"}, "invalid_base64", "query"),
    ({"query": ["a"] * 17}, "too_many_items", "query"),
    ({"query": {"vector": []}}, "invalid_vector", "query.vector"),
    ({"query": {"vector": [1, 2, 3]}}, "invalid_vector", "query.vector"),
    ({"query": {"vector": [0, 0, 0, 0]}}, "invalid_vector", "query.vector"),
    ({"query": {"vector": [1, 0, 0, float("nan")]}}, "invalid_vector", "query.vector"),
    ({"query": {"vector": [1, 0, 0, -float("inf")]}}, "invalid_vector", "query.vector"),
    ({"query": {"vector": [1, 0, 0, 10**400]}}, "invalid_vector", "query.vector"),
    ({"query": {"vector": [1, 0, 0, True]}}, "invalid_type", "query.vector[3]"),
    ({"query": {"vector": [1, 0, 0, "1"]}}, "invalid_type", "query.vector[3]"),
    ({"query": {"vector": "AAAA"}}, "invalid_type", "query.vector"),
    ({"query": ["a", {"vector": [0.0] * 70_000}]}, "invalid_vector", "query[1].vector"),
    ({"query": {"text": "a", "weight": 1.5}}, "invalid_value", "query.weight"),
    ({"query": {"text": "a", "weight": float("nan")}}, "invalid_value", "query.weight"),
    ({"query": {"text": "a", "weight": "1"}}, "invalid_type", "query.weight"),
    ({"query": {"text": "a", "weight": 0}}, "query_cancels_out", "query"),
    ({"query": ["ab", {"text": "ab", "weight": -1}]}, "query_cancels_out", "query"),
    ({"query": ["a", {"vector": [-5, 0, 0, 0]}]}, "query_cancels_out", "query"),
    ({"query": "a", "k": 0}, "invalid_value", "k"),
    ({"query": "a", "k": 1001}, "invalid_value", "k"),
    ({"query": "a", "k": 2.0}, "invalid_type", "k"),
    ({"query": "a", "k": True}, "invalid_type", "k"),
    ({"query": "a", "with_vectors": "yes"}, "invalid_type", "with_vectors"),
    ({"query": "a", "with_urls": True}, "urls_not_enabled", "with_urls"),
    ({"query": "a", "model": "nobody/knows"}, "model_not_found", "model"),
    ({"query": "a", "model": SECOND}, "index_of_another_model", "model"),
    ({"query": "a", "top_k": 3}, "unknown_field", "top_k"),
    ({"query": "a", "filter": "key = 'a'"}, "invalid_type", "filter"),
    ({"query": "a", "filter": {"key": "a"}}, "unknown_field", "filter.key"),
    ({"query": "a", "filter": {"bucket": 1}}, "invalid_type", "filter.bucket"),
    ({"query": "a", "filter": {"bucket": "a/b"}}, "invalid_value", "filter.bucket"),
    ({"query": "a", "filter": {"prefix": "图" * 342}}, "invalid_value", "filter.prefix"),
    ({"query": "a", "filter": {"prefix": "\udfff"}}, "invalid_value", "filter.prefix"),
    ({"query": "a", "filter": {"prefix": "a\0"}}, "invalid_value", "filter.prefix"),
    ({"query": "a", "filter": {"width": 5}}, "invalid_type", "filter.width"),
    ({"query": "a", "filter": {"width": {"gt": 5}}}, "unknown_field", "filter.width.gt"),
    ({"query": "a", "filter": {"size": {"gte": -1}}}, "invalid_value", "filter.size.gte"),
    ({"query": "a", "filter": {"size": {"lte": 2**63}}}, "invalid_value", "filter.size.lte"),
    ({"query": "a", "filter": {"last_modified": {"gte": 5}}}, "invalid_type", "filter.last_modified.gte"),
    ({"query": "a", "filter": {"last_modified": {"gte": "yesterday"}}}, "invalid_value", "filter.last_modified.gte"),
]  # fmt: skip
CHANGES: list[tuple[Any, str, str | None]] = [
    ({}, "missing_input", "put"),
    ({"put": [], "delete": []}, "missing_input", "put"),
    ({"put": {}}, "invalid_type", "put"),
    ({"put": [{"image": IMAGE}]}, "missing_input", "put[0].key"),
    ({"put": [{"key": "", "image": IMAGE}]}, "invalid_value", "put[0].key"),
    ({"put": [{"key": "k" * 1025, "image": IMAGE}]}, "invalid_value", "put[0].key"),
    ({"put": [{"key": "a"}]}, "invalid_value", "put[0]"),
    ({"put": [{"key": "a", "image": IMAGE, **VECTOR}]}, "invalid_value", "put[0]"),
    ({"put": [{"key": "a", "text": "a"}]}, "unknown_field", "put[0].text"),
    ({"put": [{"key": "a", "vector": [1, 2]}]}, "invalid_vector", "put[0].vector"),
    ({"put": [{"key": "a", "vector": [0, 0, 0, 0]}]}, "invalid_vector", "put[0].vector"),
    ({"put": [{"key": "a", "image": "bm8gaW1hZ2U="}]}, "not_an_image", "put[0].image"),
    ({"put": [{"bucket": "a/b", "key": "a", **VECTOR}]}, "invalid_value", "put[0].bucket"),
    ({"put": [{"key": "a", **VECTOR}] * 2}, "invalid_value", "put[1].vector"),
    ({"put": [{"key": "a", **VECTOR}], "delete": [{"key": "a"}]}, "invalid_value", "delete[0]"),
    ({"put": [{"key": str(n), **VECTOR} for n in range(257)]}, "too_many_items", "put"),
    ({"delete": [{"key": str(n)} for n in range(1001)]}, "too_many_items", "delete"),
    ({"delete": [{"key": "a", "image": IMAGE}]}, "unknown_field", "delete[0].image"),
    ({"delete": ["a"]}, "invalid_type", "delete[0]"),
]  # fmt: skip


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> SearchFunction:
    root = tmp_path_factory.mktemp("bad")
    made = SearchFunction(root / "bundle", str(root / "index"))
    assert made.change({"put": [{"key": "first", **VECTOR}]})[0] == 200
    return made


@pytest.mark.parametrize(("body", "code", "param"), SEARCHES)
def test_a_search_that_is_refused(function: SearchFunction, body: Any, code: str, param: str | None) -> None:
    refused(function.search(body), code, param)


@pytest.mark.parametrize(("body", "code", "param"), CHANGES)
def test_a_change_that_is_refused(function: SearchFunction, body: Any, code: str, param: str | None) -> None:
    refused(function.change(body), code, param)
    assert function.get("/v1/index")[1]["rows"] == 1  # and nothing of it is done


def refused(answer: tuple[int, Any], code: str, param: str | None) -> None:
    status, body = answer
    assert (body["error"]["code"], body["error"]["param"], status) == (code, param, STATUS[code])
    assert len(body["error"]["message"]) < 600


def test_a_refused_change_makes_no_index(tmp_path: Path) -> None:
    made = SearchFunction(tmp_path / "bundle", str(tmp_path / "index"))
    refused(made.change({"put": [{"key": "a", "image": "bm8gaW1hZ2U="}]}), "not_an_image", "put[0].image")
    refused(made.change({"put": [{"key": "a", "vector": [1]}]}), "invalid_vector", "put[0].vector")
    assert made.get("/v1/index")[0] == 404
    assert not (tmp_path / "index").exists()


def test_every_code_of_the_search_is_tested() -> None:
    tested = {row[1] for row in (*SEARCHES, *CHANGES)}
    elsewhere = {"index_not_found", "index_unavailable"}  # test_endpoint.py, test_lance.py, test_bucket.py
    assert {"invalid_vector", "query_cancels_out", "urls_not_enabled", "index_of_another_model"} <= tested
    assert not elsewhere & tested


def test_what_no_response_can_hold_is_refused_before_it_is_looked_for(
    function: SearchFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_RESPONSE_BYTES", 30_000)
    function.loader.engine.text_batches.clear()
    status, body = function.search({"query": "a", "k": 1000, "with_vectors": True})
    assert (status, body["error"]["code"], body["error"]["param"]) == (413, "answer_too_large", "k")
    assert function.loader.engine.text_batches == []
    assert function.search({"query": "a", "k": 1000})[0] == 200


def test_a_response_of_very_long_keys_is_refused_too(tmp_path: Path) -> None:
    made = SearchFunction(tmp_path / "bundle", str(tmp_path / "index"))
    made.change({"put": [{"key": "first", **VECTOR}]})
    longest: list[Item] = [item(f"{n:04d}" + "\1" * 1_020, [1, 0, 0, n], bucket="") for n in range(1_000)]
    index = LanceIndex(str(tmp_path / "index"))
    index.put(longest, index.about())
    status, body = made.search({"query": "a", "k": 1000})
    assert (status, body["error"]["code"]) == (413, "answer_too_large")
    event = {"rawPath": "/v1/search", "requestContext": {"http": {"method": "POST"}}}
    answer = made.invoke({**event, "body": json.dumps({"query": "a", "k": 800})})
    assert answer["statusCode"] == 200
    assert len(json.dumps(answer)) < 6_291_456


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("a"), st.just(IMAGE),
    st.sampled_from(["'", "%", "_", "' OR 1=1 --", "2026-11-27"]),
    st.sampled_from([ "9999-12-31T23:59:59-23:59", "0001-01-01T00:00+23:59"]),
)  # fmt: skip
NAMES = st.sampled_from(
    ["query", "k", "filter", "model", "with_vectors", "text", "image", "vector", "weight", "bucket", "prefix", "width",
     "size", "last_modified", "gte", "lte", "put", "delete", "key"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "bucket": st.text(max_size=5),
        "prefix": st.text(max_size=5),
        "width": st.dictionaries(st.sampled_from(["gte", "lte"]), st.integers(-1, 2**63)),
        "last_modified": st.dictionaries(st.sampled_from(["gte", "lte"]), st.datetimes().map(str) | SCALARS),
    },
)
BODIES = st.one_of(
    VALUES,
    st.fixed_dictionaries({"query": VALUES}, optional={"filter": FILTERS | VALUES, "k": st.integers(-1, 1001)}),
    st.fixed_dictionaries({"query": st.just(VECTOR)}, optional={"filter": FILTERS}),
)


@settings(max_examples=300)
@given(BODIES)
def test_whatever_is_sent_is_answered_or_refused(function: SearchFunction, body: Any) -> None:
    status, answer = function.search(body)
    assert status == 200 or status == STATUS[answer["error"]["code"]] < 500, (body, answer)


@settings(max_examples=60)
@given(st.fixed_dictionaries({}, optional={"put": VALUES, "delete": VALUES}) | VALUES)
def test_whatever_is_to_be_put_is_put_or_refused(tmp_path_factory: pytest.TempPathFactory, body: Any) -> None:
    if not _changed:
        root = tmp_path_factory.mktemp("changed")
        _changed.append(SearchFunction(root / "bundle", str(root / "index")))
    status, answer = _changed[0].change(body)
    assert status == 200 or status == STATUS[answer["error"]["code"]] < 500, (body, answer)


_changed: list[SearchFunction] = []
