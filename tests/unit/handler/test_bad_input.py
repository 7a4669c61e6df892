"""Each bad input has a status and a code of its own, names the field, and leaves the next request unharmed."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handler.errors import STATUS
from tests.unit.fake_bundle import FIRST, FakeFunction, as_base64, data_uri, encoded, image_bytes

GOOD = {"input": "a"}
PNG = image_bytes()
WIDE = encoded(Image.new("1", (4001, 2)), "PNG")
BOMB = encoded(Image.new("1", (2000, 2000)), "PNG")  # 4 million pixels in under a kilobyte


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", max_items=4, max_body_bytes=30_000, max_image_pixels=1_000_000)


def image(reference: Any) -> dict[str, Any]:
    return {"input": ["a", {"image": reference}]}


BAD_BODIES: list[tuple[Any, int, str, str | None]] = [
    ([GOOD], 400, "invalid_type", None),
    ("a", 400, "invalid_type", None),
    (None, 400, "invalid_type", None),
    ({}, 400, "missing_input", "input"),
    ({"model": FIRST}, 400, "missing_input", "input"),
    ({"input": None}, 400, "invalid_type", "input"),
    ({"input": True}, 400, "invalid_type", "input"),
    ({"input": 1.5}, 400, "invalid_type", "input"),
    ({"input": ["a", None]}, 400, "invalid_type", "input[1]"),
    ({"input": ["a", ["b"]]}, 400, "invalid_type", "input[1]"),
    ({"input": {"text": 1}}, 400, "invalid_type", "input.text"),
    ({"input": [{"image": None}]}, 400, "invalid_type", "input[0].image"),
    ({"input": "a", "model": 1}, 400, "invalid_type", "model"),
    ({"input": "a", "modality": 1}, 400, "invalid_type", "modality"),
    ({"input": "a", "encoding_format": 1}, 400, "invalid_type", "encoding_format"),
    ({"input": "a", "dimensions": "4"}, 400, "invalid_type", "dimensions"),
    ({"input": "a", "dimensions": True}, 400, "invalid_type", "dimensions"),
    ({"input": "a", "normalize": "false"}, 400, "invalid_type", "normalize"),
    ({"input": "a", "normalize": 0}, 400, "invalid_type", "normalize"),
    ({"input": "a", "user": 7}, 400, "invalid_type", "user"),
    ({"input": ""}, 400, "empty_input", "input"),
    ({"input": []}, 400, "empty_input", "input"),
    ({"input": ["a", ""]}, 400, "empty_input", "input[1]"),
    ({"input": {"text": ""}}, 400, "empty_input", "input"),
    (image(""), 400, "empty_input", "input[1]"),
    (image("data:image/png;base64,"), 400, "empty_input", "input[1]"),
    ({"input": [1, 2, 3]}, 400, "token_ids_not_supported", "input"),
    ({"input": [[1, 2], [3]]}, 400, "token_ids_not_supported", "input"),
    ({"input": list(range(9))}, 400, "token_ids_not_supported", "input"),
    ({"input": [[1]] * 9}, 400, "token_ids_not_supported", "input"),
    ({"input": ["a"] * 5}, 400, "too_many_items", "input"),
    ({"input": "a" * 10_001}, 400, "text_too_long", "input"),
    ({"input": ["\ud800"]}, 400, "invalid_value", "input[0]"),
    ({"input": "a", "model": "nobody/knows"}, 404, "model_not_found", "model"),
    ({"input": "a", "model": ""}, 404, "model_not_found", "model"),
    ({"input": "a", "modality": "audio"}, 400, "invalid_value", "modality"),
    ({"input": "a", "encoding_format": "int4"}, 400, "invalid_value", "encoding_format"),
    ({"input": "a", "encoding_format": "int8", "normalize": False}, 400, "invalid_value", "normalize"),
    ({"input": [{"text": "a", "image": "b"}]}, 400, "invalid_base64", "input[0].image"),
    ({"input": [{"text": 1, "image": "b"}]}, 400, "invalid_type", "input[0].text"),
    ({"input": [{"type": "text"}]}, 400, "invalid_type", "input[0].text"),
    ({"input": [{"type": "audio", "text": "a"}]}, 400, "invalid_value", "input[0].type"),
    ({"input": [{"type": "text", "text": "a", "txt": 1}]}, 400, "unknown_field", "input[0].txt"),
    ({"input": [{"type": "image_url", "image_url": {}}]}, 400, "invalid_type", "input[0].image_url.url"),
    (
        {"input": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]},
        400,
        "url_not_supported",
        "input[0].image_url.url",
    ),
    ({"input": [{"content": []}]}, 400, "empty_input", "input[0].content"),
    ({"input": [{"content": "a", "role": "king"}]}, 400, "invalid_value", "input[0]"),
    ({"input": [{"content": [{"type": "text", "text": "a"}] * 5}]}, 400, "too_many_items", "input[0].content"),
    ({"input": [{"content": [{"type": "text", "text": "a"}] * 3}] * 2}, 400, "too_many_items", "input"),
    ({"messages": []}, 400, "empty_input", "messages"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 3}] * 2},
        400,
        "too_many_items",
        "messages",
    ),
    ({"messages": [{"role": "user"}]}, 400, "invalid_type", "messages[0].content"),
    ({"messages": [{"content": "a"}]}, 400, "invalid_value", "messages[0]"),
    ({"messages": [{"role": "user", "content": "a"}], "input": "a"}, 400, "unknown_field", "input"),
    ({"input": {}}, 400, "invalid_value", "input"),
    ({"input": "a", "normalise": False}, 400, "unknown_field", "normalise"),
    ({"input": "a", "\ud800": 1}, 400, "unknown_field", "\\ud800"),
    ({"input": [{"txt": "a"}]}, 400, "unknown_field", "input[0].txt"),
    ({"input": "a", "dimensions": 3}, 400, "dimensions_not_supported", "dimensions"),
    ({"input": "a", "dimensions": 0}, 400, "dimensions_not_supported", "dimensions"),
    (image("https://example.com/cat.png"), 400, "url_not_supported", "input[1]"),
    (image("HTTP://169.254.169.254/"), 400, "url_not_supported", "input[1]"),
    (image("s3://bucket/cat.png"), 400, "s3_not_enabled", "input[1]"),
    (image("file:///etc/passwd"), 400, "invalid_base64", "input[1]"),
    (image("not base64!"), 400, "invalid_base64", "input[1]"),
    (image(as_base64(PNG)[:-1]), 400, "invalid_base64", "input[1]"),
    (image("data:image/png,abc"), 400, "invalid_base64", "input[1]"),
    (image("data:image/png;base64"), 400, "invalid_base64", "input[1]"),
    (image("caption with é"), 400, "invalid_base64", "input[1]"),
    ({"input": "a caption", "modality": "image"}, 400, "invalid_base64", "input"),
    (image(as_base64(b"hello, I am a text")), 400, "not_an_image", "input[1]"),
    (image(as_base64(b"BMW makes cars, and no bitmaps")), 400, "not_an_image", "input[1]"),
    (image(data_uri(PNG[:-30])), 400, "truncated_image", "input[1]"),
    (image(data_uri(PNG[:20])), 400, "truncated_image", "input[1]"),
    (image(data_uri(image_bytes(kind="WEBP")[:-10])), 400, "truncated_image", "input[1]"),
    (image(data_uri(BOMB)), 413, "image_too_large", "input[1]"),
    (image(data_uri(WIDE)), 400, "image_too_narrow", "input[1]"),
    (image(data_uri(image_bytes(kind="TIFF"))), 415, "unsupported_image_format", "input[1]"),
    (image(data_uri(b"<svg xmlns='http://www.w3.org/2000/svg'/>")), 415, "unsupported_image_format", "input[1]"),
]


@pytest.mark.parametrize(("body", "status", "code", "param"), BAD_BODIES)
def test_a_bad_body_has_its_status_and_code(
    function: FakeFunction, body: Any, status: int, code: str, param: str | None
) -> None:
    found_status, answer = function.post(body)

    error = answer["error"]
    assert (found_status, error["code"], error["param"]) == (status, code, param), error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert function.post(GOOD)[0] == 200
    if body is not None:
        assert function.invoke(body) == answer


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"{'input': 'a'}", b'{"input": "\xff"}', b"[" * 100_000, b'{"input": ' + b"1" * 9_000 + b"}"],
    ids=["nothing", "cut", "single quotes", "not UTF-8", "deep", "a long number"],
)
def test_broken_json_is_invalid_json(tmp_path: Path, raw: bytes) -> None:
    function = FakeFunction(tmp_path / "bundle")
    status, answer = function.http("POST", "/v1/embeddings", raw)
    assert (status, answer["error"]["code"]) == (400, "invalid_json")
    assert function.post(GOOD)[0] == 200


@pytest.mark.parametrize(
    ("path", "raw", "field"),
    [
        ("/v1/embeddings", b'{"input": "a", "input": "b"}', "input"),
        ("/v1/embeddings", b'{"input": [{"text": "a", "text": "b"}]}', "text"),
        ("/v1/embeddings", b'{"input": "a", "model": "m", "\\u006dodel": "n"}', "model"),
        ("/v2/embed", b'{"input_type": "search_query", "texts": ["a"], "texts": ["b"]}', "texts"),
    ],
)
def test_a_field_that_is_there_twice_is_told(function: FakeFunction, path: str, raw: bytes, field: str) -> None:
    """RFC 8259, section 4: of names that are not unique, some readers take the last, others the first or fail."""
    status, answer = function.http("POST", path, raw)
    told = answer["error"]["message"] if "error" in answer else answer["message"]
    assert (status, told.rpartition("the ")[2]) == (400, f"field '{field}' is there twice: send it once")


@pytest.mark.parametrize("field", ['"input": %s', '"input": "a", "model": %s', '"input": [{"type": %s}]'])
def test_json_of_any_depth_is_refused_as_a_request_is(tmp_path: Path, field: str) -> None:
    """Where Python's recursion ends is not the same for reading a value and for quoting it in a message."""
    function = FakeFunction(tmp_path / "bundle")
    for depth in range(700, 1_100):
        raw = ("{" + field % ("[" * depth + "]" * depth) + "}").encode()
        status, answer = function.http("POST", "/v1/embeddings", raw)
        assert status == 400, (depth, answer)


BAD_REQUESTS: list[tuple[dict[str, Any], int, str]] = [
    ({"method": "POST", "path": "/v1/embeddings", "body": b"x" * 30_001}, 413, "body_too_large"),
    ({"method": "POST", "path": "/v1/embeddings", "body": b"\x89PNG" * 9_000, "content_type": "image/png"}, 413,
     "body_too_large"),
    ({"method": "POST", "path": "/v1/embeddings", "body": b"input=a",
      "content_type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ({"method": "POST", "path": "/v1/embeddings", "content_type": "image/png"}, 400, "empty_input"),
    ({"method": "POST", "path": "/v1/embeddings", "body": b"hello", "content_type": "image/png"}, 400, "not_an_image"),
    ({"method": "POST", "path": "/v1/embeddings", "body": PNG, "content_type": "image/png", "query": "size=4"}, 400,
     "unknown_field"),
    ({"method": "POST", "path": "/v1/embeddings", "body": PNG, "content_type": "image/png", "query": "normalize=no"},
     400, "invalid_type"),
    ({"method": "POST", "path": "/v1/embeddings", "body": PNG, "content_type": "image/png", "query": "dimensions=5"},
     400, "dimensions_not_supported"),
    ({"method": "GET", "path": "/v1/embeddings"}, 405, "method_not_allowed"),
    ({"method": "DELETE", "path": "/health"}, 405, "method_not_allowed"),
    ({"method": "GET", "path": "/health", "query": "deep=perhaps"}, 400, "invalid_value"),
    ({"method": "POST", "path": "/embeddings", "body": b"{}"}, 404, "not_found"),
    ({"method": "GET", "path": "/%00/../\u00e9"}, 404, "not_found"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "code"), BAD_REQUESTS)
def test_a_bad_request_has_its_status_and_code(
    function: FakeFunction, request_: dict[str, Any], status: int, code: str
) -> None:
    found, answer = function.http(**request_)
    assert (found, answer["error"]["code"]) == (status, code), answer
    assert function.post(GOOD)[0] == 200


def test_a_direct_invoke_is_held_to_the_same_size(function: FakeFunction) -> None:
    answer = function.invoke({"input": {"image": "A" * 50_000}})
    assert answer["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("event", [None, 7, "text", [], ["a"], {"requestContext": {}}, {"requestContext": None}])
def test_an_event_that_is_nothing_known_gets_an_answer(function: FakeFunction, event: Any) -> None:
    assert STATUS[function.invoke(event)["error"]["code"]] == 400


def test_the_message_for_token_ids_says_what_to_set_in_langchain(function: FakeFunction) -> None:
    assert "check_embedding_ctx_length=False" in function.post({"input": [[1, 2]]})[1]["error"]["message"]


def test_the_message_for_a_misspelled_field_names_the_one_that_was_meant(function: FakeFunction) -> None:
    assert "'normalize'" in function.post({"input": "a", "normalise": False})[1]["error"]["message"]


def test_a_message_never_quotes_a_long_value_completely(function: FakeFunction) -> None:
    message = function.post({"input": "a", "model": "m" * 9_000})[1]["error"]["message"]
    assert len(message) < 200


def test_every_code_of_a_request_is_tested_here() -> None:
    tested = {row[2] for row in BAD_BODIES} | {row[2] for row in BAD_REQUESTS} | {"invalid_json"}
    elsewhere = {
        "bucket_not_allowed", "object_archived", "object_not_found", "object_not_readable", "object_too_large",
        "s3_unavailable",
        # tests/unit/handler/test_s3.py, tests/clients/test_s3.py
        "answer_too_large",  # tests/unit/handler/test_limits.py
        "invalid_form",  # tests/unit/handler/test_dialects.py
        "invalid_gzip",  # tests/unit/handler/test_gzip_body.py
        "text_too_complex",  # tests/offline/test_text_cost.py
        "image_too_complex",  # tests/unit/handler/test_decode.py
        "invalid_event",  # tests/unit/handler/test_routes.py
        "invalid_vector", "query_cancels_out", "urls_not_enabled", "index_not_found", "index_of_another_model",
        "index_unavailable",  # tests/unit/handler/search
        "not_authenticated", "not_permitted", "extension_failed",  # tests/unit/handler/extensions
        "internal_error", "not_ready",  # tests/unit/handler/test_service.py
    }  # fmt: skip
    assert set(STATUS) - tested == elsewhere


def test_codes_are_json_and_statuses_are_errors() -> None:
    assert json.dumps(STATUS)
    assert all(400 <= status < 600 for status in STATUS.values())
