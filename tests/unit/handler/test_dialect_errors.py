"""Hostile and mistaken requests of other vendors' APIs: each error has the vendor's own shape, and our code."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import SettingsError
from handler.http import routes
from handler.settings import DIALECTS, Settings
from tests.unit.fake_bundle import FIRST, FakeFunction, data_uri, image_bytes
from tests.unit.handler.dialect_requests import COHERE, CONTENT, RED, entries, post, predict


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", max_items=4, max_body_bytes=30_000)


SHAPES = {  # where each vendor's error has its text, and all that it has
    "/v2/embed": ("message", {"id", "message"}),
    "/v1/multimodalembeddings": ("detail", {"detail"}),
    "/embed": ("error", {"error", "error_type"}),
    "/vectorize": ("error", {"error"}),
    "/predict": ("detail", {"detail"}),
}
WRONG: list[tuple[str, Any, int, str]] = [
    ("/v2/embed", {**COHERE, "texts": ["a"], "colour": 1}, 400, "unknown_field"),
    ("/v2/embed", {"model": FIRST, "texts": ["a"]}, 400, "missing_input"),
    ("/v2/embed", {**COHERE}, 400, "missing_input"),
    ("/v2/embed", {**COHERE, "texts": ["a"], "images": [RED]}, 400, "missing_input"),
    ("/v2/embed", {**COHERE, "texts": ["a"], "input_type": "x"}, 400, "invalid_value"),
    ("/v2/embed", {**COHERE, "texts": ["a"], "truncate": "MIDDLE"}, 400, "invalid_value"),
    ("/v2/embed", {**COHERE, "texts": ["a", "b" * 17], "truncate": "NONE"}, 400, "text_too_long"),
    ("/v2/embed", {**COHERE, "inputs": [{"content": [{"type": "text", "text": "b" * 17}]}], "truncate": "NONE"}, 400,
     "text_too_long"),
    ("/v2/embed", {**COHERE, "texts": ["a"], "max_tokens": 15}, 400, "invalid_value"),
    ("/v2/embed", {**COHERE, "texts": ["a"], "embedding_types": ["int4"]}, 400, "invalid_value"),
    ("/v2/embed", {**COHERE, "texts": ["a"], "embedding_types": "float"}, 400, "invalid_type"),
    ("/v2/embed", {**COHERE, "texts": ["a"], "output_dimension": 3}, 400, "dimensions_not_supported"),
    ("/v2/embed", {**COHERE, "texts": ["a"] * 5}, 400, "too_many_items"),
    ("/v2/embed", {**COHERE, "inputs": [{"content": CONTENT * 3}]}, 400, "too_many_items"),
    ("/v2/embed", {**COHERE, "inputs": [{"content": "abc"}]}, 400, "invalid_type"),
    ("/v2/embed", {**COHERE, "images": ["https://example.com/a.png"]}, 400, "url_not_supported"),
    ("/v2/embed", {**COHERE, "images": [data_uri(b"no image")]}, 400, "not_an_image"),
    ("/v2/embed", {**COHERE, "model": "embed-v4.0", "texts": ["a"]}, 404, "model_not_found"),
    ("/v1/multimodalembeddings", {"inputs": []}, 400, "empty_input"),
    ("/v1/multimodalembeddings", {"inputs": [["a"]]}, 400, "invalid_type"),
    ("/v1/multimodalembeddings", {"inputs": [{"content": [{"type": "text", "text": "b" * 17}]}], "truncation": False},
     400, "text_too_long"),
    ("/v1/multimodalembeddings", {"inputs": [{"content": CONTENT}], "colour": 1}, 400, "unknown_field"),
    ("/v1/multimodalembeddings", {"inputs": [{"content": [{"type": "video_url", "video_url": "x"}]}]}, 400,
     "invalid_value"),
    ("/embed", {"inputs": [[1, 2]]}, 400, "token_ids_not_supported"),
    ("/embed", {"inputs": ""}, 400, "empty_input"),
    ("/embed", {"inputs": "a", "prompt_name": "query"}, 400, "invalid_value"),
    ("/embed", {"inputs": "b" * 17, "truncate": False}, 400, "text_too_long"),
    ("/embed", {"inputs": "a", "colour": 1}, 400, "unknown_field"),
    ("/embed", {"inputs": "a", "options": {"dimensions": 3}}, 400, "unknown_field"),
    ("/embed", {"inputs": "a", "options": {"use_cache": 1}}, 400, "invalid_type"),
    ("/embed", {"inputs": "a", "model": "BAAI/bge-base-en-v1.5"}, 404, "model_not_found"),
    ("/vectorize", {"texts": [1]}, 400, "invalid_type"),
    ("/vectorize", {"texts": ["a"], "colour": 1}, 400, "unknown_field"),
    ("/predict", [], 415, "unsupported_media_type"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "code"), WRONG)
def test_an_error_has_the_vendor_s_shape_and_our_code(
    function: FakeFunction, path: str, body: Any, status: int, code: str
) -> None:
    found, answer = post(function, path, body)
    key, keys = SHAPES[path]
    assert (found, answer[key].partition(":")[0], set(answer)) == (status, code, keys), answer


CUT = data_uri(image_bytes()[:-30])
SECOND_IS_CUT: list[tuple[str, Any, str]] = [
    ("/v2/embed", {**COHERE, "images": [RED, CUT]}, "images[1]"),
    ("/v2/embed", {**COHERE, "texts": ["a", "b" * 17], "truncate": "NONE"}, "texts[1]"),
    ("/v1/multimodalembeddings", {"inputs": [{"content": [*CONTENT, {"type": "image_url", "image_url": CUT}]}]},
     "inputs[0].content[2].image_url"),
    ("/v1/embeddings", {"input": ["a", CUT], "truncation": True}, "input[1]"),
    ("/v1/embeddings", {"input": ["a", "b" * 17], "truncate": False}, "input[1]"),
    ("/embed", {"inputs": ["a", CUT]}, "inputs[1]"),
    ("/vectorize", {"images": [image.partition(",")[2] for image in (RED, CUT)]}, "images[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "place"), SECOND_IS_CUT)
def test_an_error_says_which_of_several_items_is_wrong(
    function: FakeFunction, path: str, body: Any, place: str
) -> None:
    status, answer = post(function, path, body)
    [text] = [value for key, value in answer.items() if key in ("message", "detail", "error")]
    assert (status, text.split(": ")[1]) == (400, place), text


@pytest.mark.parametrize("path", SHAPES)
def test_errors_raised_before_the_dialect_have_its_form_too(function: FakeFunction, path: str) -> None:
    key, keys = SHAPES[path]
    for method, code in (("PUT", "method_not_allowed"), ("POST", "unsupported_media_type")):
        _, answer = function.http(method, path, b"x", "text/csv")
        assert (answer[key].partition(":")[0], set(answer)) == (code, keys)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"input": "b" * 17, "truncation": False}, "text_too_long"),
        ({"input": "b" * 17, "truncate": False}, "text_too_long"),
        ({"input": "a", "truncate": "none"}, "invalid_value"),
        ({"input": "a", "output_dtype": "int4"}, "invalid_value"),
        ({"input": "a", "embedding_type": "int4"}, "invalid_value"),
        ({"input": "a", "late_chunking": True}, "invalid_value"),
        ({"input": "a", "task": "x", "exif_orientation": True}, "unknown_field"),
    ],
)
def test_jina_s_and_voyage_s_errors_of_our_own_route(function: FakeFunction, body: Any, code: str) -> None:
    status, answer = function.post(body)
    assert (status, answer["detail"].partition(":")[0], set(answer)) == (400, code, {"detail"})


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"inputText": ""}, "empty_input"),
        ({"inputText": None}, "missing_input"),
        ({"inputImage": "?"}, "invalid_base64"),
        ({"inputText": "a", "size": 4}, "unknown_field"),
        ({"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 1024}}, "dimensions_not_supported"),
        ({"inputText": "a", "embeddingConfig": 7}, "invalid_type"),
    ],
)
def test_titan_s_errors_have_its_message_and_the_error_of_every_direct_invoke(
    function: FakeFunction, event: Any, code: str
) -> None:
    answer = function.invoke(event)
    assert answer["message"].startswith(f"{code}: ")
    assert answer["error"]["code"] == code


def test_a_direct_invoke_has_its_error_in_one_place_whatever_its_fields(function: FakeFunction) -> None:
    for body in (
        {"input": "a", "task": "x", "colour": 1},
        {"input": "b" * 17, "truncation": False},
        {"input": ""},
    ):
        assert set(function.invoke(body)["error"]) == {"message", "type", "param", "code"}


BOUNDARY = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="entries"\r\n\r\n'
BAD_FORMS: list[tuple[bytes, str, str]] = [
    (b"", BOUNDARY, "invalid_form"),
    (b"--x--", BOUNDARY, "missing_input"),
    (HEAD + b"{}", BOUNDARY, "invalid_form"),
    (HEAD + b"{}\r\n--x", BOUNDARY, "invalid_form"),
    (HEAD + b"{\r\n--x--", BOUNDARY, "invalid_json"),
    (b"--x\r\n\r\n{}\r\n--x--", BOUNDARY, "invalid_form"),
    (b"--x\r\nA: " + b"b" * 9_000 + b"\r\n\r\n{}\r\n--x--", BOUNDARY, "invalid_form"),
    ((HEAD + b"{}\r\n") * 40 + b"--x--", BOUNDARY, "invalid_form"),
    (HEAD + b"{}\r\n--x--", "multipart/form-data", "unsupported_media_type"),
    (HEAD + b"{}\r\n--x--", "multipart/form-data; boundary=" + "x" * 71, "unsupported_media_type"),
    (HEAD + b"{}\r\n--x--", BOUNDARY, "invalid_type"),
    (HEAD + b"\xff\r\n--x--", BOUNDARY, "invalid_json"),
]


@pytest.mark.parametrize(("body", "kind", "code"), BAD_FORMS)
def test_a_form_that_is_none_is_refused(function: FakeFunction, body: bytes, kind: str, code: str) -> None:
    _, answer = function.http("POST", "/predict", body, kind)
    assert answer["detail"].partition(":")[0] == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"entries": b"[]", "text": b"a"}, "invalid_type"),
        ({"entries": b'{"facial-recognition": {}}', "text": b"a"}, "unknown_field"),
        ({"entries": b'{"clip": {}}', "text": b"a"}, "invalid_value"),
        ({"entries": b'{"clip": {"textual": {}}}', "text": b"a"}, "invalid_type"),
        ({"entries": entries("textual")}, "missing_input"),
        ({"entries": entries("textual"), "text": b""}, "empty_input"),
        ({"entries": entries("textual"), "text": b"\xff"}, "invalid_value"),
        ({"entries": entries("visual"), "text": b"a"}, "missing_input"),
        ({"entries": entries("visual"), "image": b""}, "empty_input"),
        ({"entries": entries("visual"), "image": b"hello"}, "not_an_image"),
    ],
)
def test_what_immich_would_not_send_is_refused(function: FakeFunction, fields: dict[str, bytes], code: str) -> None:
    _, answer = predict(function, fields)
    assert answer["detail"].partition(":")[0] == code


@pytest.mark.parametrize("name", routes.DIALECTS)
def test_a_dialect_that_is_off_has_no_routes_and_no_place_in_the_document(tmp_path: Path, name: str) -> None:
    function = FakeFunction(tmp_path / "bundle", dialects=tuple(set(DIALECTS) - {name}))
    document = function.get("/openapi.json")[1]
    for path, methods in routes.DIALECTS[name].items():
        status, answer = function.http(methods[0], path, b"{}")
        assert (status, answer["error"]["code"]) == (404, "not_found")
        assert path not in document["paths"]


def test_fields_of_a_dialect_that_is_off_are_unknown(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", dialects=())
    for body in ({"input": "a", "task": "x"}, {"input": "a", "truncation": True}):
        assert function.post(body)[1]["error"]["code"] == "unknown_field"
    assert function.invoke({"inputText": "a"})["error"]["code"] == "unknown_field"


def test_the_dialects_of_the_settings_are_those_of_the_routes() -> None:
    assert set(DIALECTS) == {*routes.DIALECTS, *routes.FIELDS, *routes.INVOKE_FIELDS}
    assert Settings.from_env({"OPENCLIP_DIALECTS": "cohere, tei"}).dialects == ("cohere", "tei")
    assert Settings.from_env({"OPENCLIP_DIALECTS": ""}).dialects == ()
    with pytest.raises(SettingsError, match="OPENCLIP_DIALECTS has 'openai'"):
        Settings.from_env({"OPENCLIP_DIALECTS": "openai"})


@pytest.mark.parametrize("path", ["/k/secret/vectorize", "/clip/k/secret/vectorize"])
def test_weaviate_s_key_may_stand_in_the_path(tmp_path: Path, path: str) -> None:
    function = FakeFunction(tmp_path / "bundle", base_path="/clip")
    assert post(function, path, {"texts": ["abc"], "images": None})[0] == 200


def test_the_gateways_route_tells_where_the_key_is_behind_a_base_path(function: FakeFunction) -> None:
    route = "POST /k/{key}/vectorize"
    event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": "/clip/k/secret/vectorize",
        "pathParameters": {"key": "secret"},
        "requestContext": {"stage": "$default", "http": {"method": "POST"}, "routeKey": route},
        "body": json.dumps({"texts": ["abc"], "images": []}),
    }
    assert function.invoke(event)["statusCode"] == 200


@pytest.mark.parametrize("path", ["/k/secret/v1/embeddings", "/k//vectorize", "/k/vectorize", "/k/a/b/vectorize"])
def test_no_other_path_takes_a_key(function: FakeFunction, path: str) -> None:
    assert post(function, path, {"input": "abc"})[0] == 404


def test_a_form_of_line_ends_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle")
    for filler in (b"\r\n", b"\r\n--", b"\r\n--x\r\n"):
        status, _ = function.http("POST", "/predict", HEAD + filler * (4_000_000 // len(filler)), BOUNDARY)
        assert status == 400
