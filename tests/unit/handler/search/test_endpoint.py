"""The search's routes as clients call them, over an index in a directory."""

import base64
import gzip
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.search.lance import LanceIndex
from tests.unit.fake_bundle import FIRST, SECOND, data_uri, image_bytes
from tests.unit.search_world import SearchFunction, item

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
COLORS = {"red.png": RED, "green.png": GREEN, "blue.png": BLUE, "white.png": WHITE}


@pytest.fixture
def function(tmp_path: Path) -> SearchFunction:
    return SearchFunction(tmp_path / "bundle", str(tmp_path / "index"))


@pytest.fixture
def filled(function: SearchFunction) -> SearchFunction:
    images = [{"key": key, "image": data_uri(image_bytes(color))} for key, color in COLORS.items()]
    assert function.change({"put": images}) == (200, {"object": "index", "put": 4, "deleted": 0, "rows": 4})
    return function


def keys(answer: tuple[int, Any]) -> list[str]:
    status, body = answer
    assert status == 200, body
    return [hit["key"] for hit in body["data"]]


@pytest.mark.parametrize("modified", [1_091_570_428_843, 549_416_915_647, 2_190_822_590_851])
def test_the_time_that_a_hit_has_finds_it(filled: SearchFunction, tmp_path: Path, modified: int) -> None:
    index = LanceIndex(str(tmp_path / "index"))
    index.put([item("2004.png", [1, 0, 0, 1], 1, last_modified=modified)], index.about())
    (hit,) = filled.search({"query": "a", "filter": {"bucket": "photos"}})[1]["data"]
    time = hit["metadata"]["last_modified"]
    assert datetime.fromisoformat(time) == datetime.fromtimestamp(modified // 1000, UTC).replace(
        microsecond=modified % 1000 * 1000
    )
    assert keys(filled.search({"query": "a", "filter": {"last_modified": {"gte": time, "lte": time}}})) == ["2004.png"]


@pytest.mark.parametrize(
    ("gte", "lte"),
    [
        ("2004-08-03T22:00:28.843Z", "2004-08-03T22:00:28.843Z"),
        ("2004-08-04T00:00:28.843+02:00", "2004-08-03T12:00:28.843-10:00"),
        ("2004-08-03T22:00:28.843", "2004-08-03T22:00:28.843"),
        ("2004-08-03", "2004-08-04"),
    ],
)
def test_a_time_may_be_of_any_zone_and_is_utc_without_one(
    filled: SearchFunction, tmp_path: Path, gte: str, lte: str
) -> None:
    index = LanceIndex(str(tmp_path / "index"))
    index.put([item("2004.png", [1, 0, 0, 1], 1, last_modified=1_091_570_428_843)], index.about())
    assert keys(filled.search({"query": "a", "filter": {"last_modified": {"gte": gte, "lte": lte}}})) == ["2004.png"]


def test_a_key_may_have_folders_and_all_the_bytes_that_s3_allows(filled: SearchFunction) -> None:
    """docs.aws.amazon.com: AmazonS3 "Naming Amazon S3 objects": up to 1,024 bytes of UTF-8."""
    key = f"2026/photos/{'é' * 506}"
    assert len(key.encode()) == 1_024
    assert filled.change({"put": [{"key": key, "vector": [1, 0, 0, 1]}]})[1]["rows"] == 5
    for prefix in ("2026/", "2026/photos/é", key):
        assert keys(filled.search({"query": "a", "filter": {"prefix": prefix}})) == [key]
    assert filled.change({"delete": [{"key": key}]})[1]["rows"] == 4


def cosine(one: Any, other: Any) -> float:
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


def test_a_hit_has_all_that_is_known_of_the_image(filled: SearchFunction) -> None:
    before = datetime.now(UTC)
    status, body = filled.search({"query": {"image": data_uri(image_bytes(RED))}, "k": 2, "with_vectors": True})
    assert status == 200
    assert (body["object"], body["model"]) == ("list", FIRST)
    assert body["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    first, second = body["data"]
    assert {name: first[name] for name in ("object", "index", "bucket", "key")} == {
        "object": "hit", "index": 0, "bucket": "", "key": "red.png"
    }  # fmt: skip
    assert first["score"] == pytest.approx(1, abs=1e-6)
    # The engine sees red as (1, 0, 0, 1), and white as (1, 1, 1, 1).
    assert (second["index"], second["key"]) == (1, "white.png")
    assert second["score"] == pytest.approx(cosine([1, 0, 0, 1], [1, 1, 1, 1]), abs=1e-6)
    assert first["vector"] == pytest.approx([0.5**0.5, 0, 0, 0.5**0.5], abs=1e-6)
    metadata = first["metadata"]
    assert (metadata["size"], metadata["width"], metadata["height"]) == (len(image_bytes(RED)), 8, 8)
    # As S3 has it for an object put in one part (AmazonS3, "Checking object integrity"), and so the batch.
    assert metadata["etag"] == hashlib.md5(image_bytes(RED), usedforsecurity=False).hexdigest()
    assert abs((datetime.fromisoformat(metadata["last_modified"]) - before).total_seconds()) < 60
    assert "url" not in first


@pytest.mark.parametrize(
    ("query", "direction"),
    [
        ("aab", [2, 1, 0, 0]),
        ({"text": "abb"}, [1, 2, 0, 0]),
        ({"vector": [0, 0, 3, 3]}, [0, 0, 3, 3]),
        (data_uri(image_bytes(GREEN)), [0, 1, 0, 1]),
        (data_uri(image_bytes(GREEN)).replace("image/png", ""), [0, 1, 0, 1]),
        (["a", "b"], [1, 1, 0, 0]),
        ({"vector": [1e-320, 0, 0, 0], "weight": 1e-9}, [1, 0, 0, 0]),
        ({"vector": [1e308, 1e308, 0, 0]}, [1, 1, 0, 0]),
        ({"text": "ab", "weight": -1}, [-1, -1, 0, 0]),
        ([{"text": "a"}, {"text": "b", "weight": 0.5}], [1, 0.5, 0, 0]),
        ([{"text": "aaa"}, {"text": "b"}], [1, 1, 0, 0]),  # of unit vectors: a longer text weighs no more
        ([{"vector": [0, 0, 3, 3]}, "a"], [1, 0, 0.5**0.5, 0.5**0.5]),  # of unit vectors: nor does a longer vector
        ([{"text": "ab"}, {"text": "b", "weight": -0.5}], [0.5**0.5, 0.5**0.5 - 0.5, 0, 0]),
        ([{"vector": [1, 0, 0, 0]}, {"image": data_uri(image_bytes(BLUE)), "weight": 1}], [1, 0, 0.5**0.5, 0.5**0.5]),
    ],
)  # fmt: skip
def test_the_score_is_the_cosine_to_the_queries_sum(filled: SearchFunction, query: Any, direction: list[float]) -> None:
    status, body = filled.search({"query": query, "k": 4})
    assert status == 200, body
    expected = {
        key: cosine([red / 255, green / 255, blue / 255, 1], direction) for key, (red, green, blue) in COLORS.items()
    }
    assert {hit["key"]: hit["score"] for hit in body["data"]} == pytest.approx(expected, abs=1e-6)
    scores = [hit["score"] for hit in body["data"]]
    assert scores == sorted(scores, reverse=True)


def test_what_is_put_again_is_replaced_and_what_is_deleted_is_gone(filled: SearchFunction) -> None:
    change = {"put": [{"key": "red.png", "image": data_uri(image_bytes(BLUE))}], "delete": [{"key": "blue.png"}]}
    assert filled.change(change) == (200, {"object": "index", "put": 1, "deleted": 1, "rows": 3})
    assert keys(filled.search({"query": {"image": data_uri(image_bytes(BLUE))}, "k": 10}))[0] == "red.png"
    assert "blue.png" not in keys(filled.search({"query": "a", "k": 10}))
    again = {"put": [{"key": "blue.png", "vector": [0, 3, 4, 0]}]}
    assert filled.change(again)[1]["rows"] == 4
    (hit,) = filled.search({"query": {"vector": [0, 3, 4, 0]}, "k": 1, "with_vectors": True})[1]["data"]
    assert (hit["key"], hit["vector"]) == ("blue.png", pytest.approx([0, 0.6, 0.8, 0], abs=1e-6))


def test_a_key_of_another_bucket_is_another_image(filled: SearchFunction) -> None:
    assert filled.change({"put": [{"bucket": "photos", "key": "red.png", "vector": [1, 0, 0, 1]}]})[1]["rows"] == 5
    hits = filled.search({"query": {"vector": [1, 0, 0, 1]}, "k": 2})[1]["data"]
    assert {(hit["bucket"], hit["key"]) for hit in hits} == {("", "red.png"), ("photos", "red.png")}
    assert filled.change({"delete": [{"key": "red.png"}]})[1]["rows"] == 4


def test_the_index_says_what_it_is_of(filled: SearchFunction) -> None:
    assert filled.get("/v1/index") == (
        200,
        {
            "object": "index",
            "model": FIRST,
            "manifest_sha256": filled.service.models.manifest.sha256,
            "settings": {"exif_orientation": False, "normalize": True},
            "dimensions": 4,
            "urls": False,
            "rows": 4,
            "max_k": 1_000,
            "filters": ["bucket", "prefix", "width", "height", "size", "last_modified"],
        },
    )


def test_a_direct_invoke_is_a_search(filled: SearchFunction) -> None:
    assert filled.invoke({"query": "a", "k": 1})["data"][0]["key"] == "red.png"
    assert filled.invoke({"query": "a", "k": 0})["error"]["code"] == "invalid_value"


def test_an_index_that_is_not_there(function: SearchFunction) -> None:
    for status, body in (function.get("/v1/index"), function.search({"query": "a"})):
        assert (status, body["error"]["code"]) == (404, "index_not_found")
        assert "python -m handler.search rebuild" in body["error"]["message"]


def test_the_index_of_another_bundle_or_model_is_refused(filled: SearchFunction, tmp_path: Path) -> None:
    status, body = filled.search({"query": "a", "model": SECOND})
    assert (status, body["error"]["code"], body["error"]["param"]) == (409, "index_of_another_model", "model")
    other = SearchFunction(tmp_path / "other", str(tmp_path / "index"), created_at="2026-11-27T00:00:00Z")
    for status, body in (other.search({"query": "a"}), other.change({"put": [{"key": "a", "vector": [1, 0, 0, 0]}]})):
        assert (status, body["error"]["code"]) == (409, "index_of_another_model")
        assert f"rebuild --vectors <directory or s3://bucket> --index {tmp_path / 'index'}" in body["error"]["message"]
    assert filled.get("/v1/index")[1]["rows"] == 4


def test_the_index_of_a_bundle_that_was_built_again_is_taken(tmp_path: Path) -> None:
    """As a CI runner builds it: at another time, with other figures, and vectors of the same name."""
    built = SearchFunction(tmp_path / "built", str(tmp_path / "index"), vectors="ab" * 32)
    assert built.change({"put": [{"key": "a.png", "vector": [1, 0, 0, 0]}]})[0] == 200
    again = SearchFunction(
        tmp_path / "again", str(tmp_path / "index"), created_at="2026-11-27T00:00:00Z", vectors="ab" * 32
    )
    assert again.service.models.manifest.sha256 != built.service.models.manifest.sha256
    assert keys(again.search({"query": "a"})) == ["a.png"]
    assert again.change({"put": [{"key": "b.png", "vector": [0, 1, 0, 0]}]})[1]["rows"] == 2
    assert again.get("/v1/index")[1]["manifest_sha256"] == "ab" * 32
    assert again.get("/health")[1]["models"][0]["vectors_sha256"] == "ab" * 32


def test_other_routes_of_the_api_are_not_there(function: SearchFunction) -> None:
    assert function.post({"input": "a"})[0] == 404
    assert function.get("/health")[0] == 200
    assert function.http("PUT", "/v1/index")[0] == 405


def test_bodies_in_gzip_browsers_and_metrics_are_as_at_the_api(
    filled: SearchFunction, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.service.settings = filled.service.settings._replace(cors_origins=("https://example.org",))
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "search")
    event = {
        "rawPath": "/v1/search",
        "requestContext": {"http": {"method": "POST"}},
        "headers": {"content-type": "application/json", "content-encoding": "gzip", "origin": "https://example.org"},
        "body": base64.b64encode(gzip.compress(json.dumps({"query": "a", "k": 1}).encode())).decode(),
        "isBase64Encoded": True,
    }
    answer = filled.invoke(event)
    assert answer["statusCode"] == 200
    assert answer["headers"]["access-control-allow-origin"] == "https://example.org"
    assert answer["headers"]["x-openclip-manifest"] == filled.service.models.manifest.sha256
    assert "search;dur=" in answer["headers"]["server-timing"]
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["route"], line["status"], line["Texts"], line["Model"]) == ("/v1/search", 200, 1, FIRST)
    assert line["Search"] > 0
    preflight = {"method": "OPTIONS"}
    allowed = filled.invoke({"rawPath": "/v1/index", "requestContext": {"http": preflight}})["headers"]["allow"]
    assert allowed == "GET, POST, HEAD, OPTIONS"
