"""Other vendors' requests, and what each is answered.

That the vendors' own clients understand the answers is shown in tests/clients/test_dialects.py.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.fake_bundle import FIRST, SECOND, FakeFunction, as_base64, image_bytes
from tests.unit.handler.dialect_requests import COHERE, CONTENT, RED, entries, post, predict

RED_UNIT = [2**-0.5, 0.0, 0.0, 2**-0.5]  # LetterEngine's (1, 0, 0, 1)
ABC_UNIT = [3**-0.5, 3**-0.5, 3**-0.5, 0.0]
D_UNIT = [0.0, 0.0, 0.0, 1.0]
BOTH = np.add(RED_UNIT, ABC_UNIT) / np.linalg.norm(np.add(RED_UNIT, ABC_UNIT))


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle", max_items=4, max_body_bytes=30_000)


@pytest.mark.parametrize(
    "item",
    [
        {"text": "abc", "image": RED},
        {"content": CONTENT},
        {"role": "user", "content": CONTENT},
        {"content": [{"type": "input_text", "text": "abc"}, {"type": "input_image", "image_url": RED}]},
        {"content": [{"type": "text", "text": "abc"}, {"type": "image_base64", "image_base64": RED}]},
    ],
)
def test_an_item_of_text_and_image_is_the_mean_of_both_unit_vectors(function: FakeFunction, item: Any) -> None:
    status, answer = function.post({"input": [item, *CONTENT]})

    assert status == 200, answer
    rows = [row["embedding"] for row in answer["data"]]
    np.testing.assert_allclose(rows, [BOTH, ABC_UNIT, RED_UNIT], atol=1e-6)


def test_without_normalisation_the_mean_is_as_it_is(function: FakeFunction) -> None:
    _, answer = function.post({"input": {"text": "abc", "image": RED}, "normalize": False})
    np.testing.assert_allclose(answer["data"][0]["embedding"], np.mean([RED_UNIT, ABC_UNIT], axis=0), atol=1e-6)


def test_messages_are_one_vector_of_all_they_hold(function: FakeFunction) -> None:
    messages = [{"role": "system", "content": "abc"}, {"role": "user", "content": CONTENT[1:]}]
    status, answer = function.post({"messages": messages, "encoding_format": "float", "user": "someone"})
    assert status == 200, answer
    np.testing.assert_allclose([row["embedding"] for row in answer["data"]], [BOTH], atol=1e-6)


LONG = "aaaa" + "bcd" * 4 + "d"  # one token a letter, of which this model reads 16
A_LEFT_OUT = [3 / 66**0.5, 4 / 66**0.5, 4 / 66**0.5, 5 / 66**0.5]
D_LEFT_OUT = [0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(("truncate", "expected"), [("START", A_LEFT_OUT), ("END", D_LEFT_OUT)], ids=["first", "last"])
def test_a_text_that_is_too_long_is_cut_where_cohere_s_and_tei_s_requests_say(
    function: FakeFunction, truncate: str, expected: list[float]
) -> None:
    status, answer = post(function, "/v2/embed", {**COHERE, "texts": [LONG], "truncate": truncate})
    assert status == 200, answer
    np.testing.assert_allclose(answer["embeddings"]["float"], [expected], atol=1e-6)
    _, rows = post(function, "/embed", {"inputs": LONG, "truncation_direction": SIDES[truncate]})
    np.testing.assert_allclose(rows, [expected], atol=1e-6)


SIDES = {"START": "Left", "END": "Right"}


def test_a_text_that_fits_is_taken_also_where_nothing_may_be_cut(function: FakeFunction) -> None:
    cohere = {**COHERE, "texts": ["abc"], "truncate": "NONE", "max_tokens": 16}
    assert post(function, "/v2/embed", cohere)[1]["embeddings"]["float"] == [pytest.approx(ABC_UNIT)]
    assert post(function, "/embed", {"inputs": "abc", "truncate": False})[1] == [pytest.approx(ABC_UNIT)]
    for off in ({"truncation": False}, {"truncate": False}):
        assert function.post({"input": "abc", **off})[1]["data"][0]["embedding"] == pytest.approx(ABC_UNIT)


def test_cohere_s_three_sources_and_every_type_at_once(function: FakeFunction) -> None:
    kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
    status, answer = post(function, "/v2/embed", {**COHERE, "texts": ["abc", "d"], "embedding_types": kinds})
    assert status == 200, answer
    found = answer["embeddings"]
    assert list(found) == kinds
    np.testing.assert_allclose(found["float"], [ABC_UNIT, D_UNIT], atol=1e-6)
    assert found["int8"] == [[73, 73, 73, 0], [0, 0, 0, 127]]  # of 4 dimensions the scale is 127
    assert found["uint8"] == [[201, 201, 201, 128], [128, 128, 128, 255]]
    assert (found["ubinary"], found["binary"]) == ([[0b11100000], [0b00010000]], [[96], [-112]])
    assert np.frombuffer(base64.b64decode(found["base64"][1]), "<f4").tolist() == [0, 0, 0, 1]
    assert (answer["texts"], answer["images"], answer["meta"]["billed_units"]["images"]) == (["abc", "d"], [], 0)

    _, images = post(function, "/v2/embed", {**COHERE, "images": [RED], "input_type": "image"})
    np.testing.assert_allclose(images["embeddings"]["float"], [RED_UNIT], atol=1e-6)
    assert images["images"] == [{"width": 8, "height": 8, "format": "png", "bit_depth": 24}]
    _, both = post(function, "/v2/embed", {**COHERE, "inputs": [{"content": CONTENT}]})
    np.testing.assert_allclose(both["embeddings"]["float"], [BOTH], atol=1e-6)


def test_voyage_s_inputs_of_several_parts_and_its_numbers(function: FakeFunction) -> None:
    inputs = [{"content": CONTENT}, {"content": CONTENT[:1]}]
    status, answer = post(function, "/v1/multimodalembeddings", {"inputs": inputs, "model": FIRST, "truncation": True})
    assert status == 200, answer
    np.testing.assert_allclose([row["embedding"] for row in answer["data"]], [BOTH, ABC_UNIT], atol=1e-6)
    assert answer["usage"] == {"text_tokens": 6, "image_pixels": 64, "video_pixels": 0, "total_tokens": 7}

    packed = {"inputs": inputs[1:], "output_dtype": "int8", "encoding_format": "base64"}
    _, answer = post(function, "/v1/multimodalembeddings", packed)
    assert np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), np.int8).tolist() == [73, 73, 73, 0]
    _, answer = function.post({"input": ["abc"], "truncation": True, "output_dtype": None, "encoding_format": "base64"})
    vector = np.frombuffer(base64.b64decode(answer["data"][0]["embedding"]), "<f4")
    np.testing.assert_allclose(vector, ABC_UNIT, atol=1e-6)


def test_jina_s_fields_are_understood_beside_our_own(function: FakeFunction) -> None:
    body = {"model": FIRST, "task": "retrieval.query", "input": [{"text": "abc"}, {"image": RED}]}
    _, answer = function.post({**body, "embedding_type": "float", "normalized": True, "late_chunking": False})
    np.testing.assert_allclose([row["embedding"] for row in answer["data"]], [ABC_UNIT, RED_UNIT], atol=1e-6)
    _, answer = function.post({**body, "embedding_type": ["ubinary"]})
    assert answer["data"][0]["embedding"] == [0b11100000]
    _, answer = function.post({**body, "normalized": False})
    assert answer["data"][0]["embedding"] == [1, 1, 1, 0]


def test_jina_s_fields_in_the_extra_body_of_openai_s_client(function: FakeFunction) -> None:
    """It adds encoding_format, "base64" unless it is told, and takes lists as well; Jina's API has another name."""
    body = {"model": FIRST, "input": ["abc"], "encoding_format": "base64", "task": "retrieval.query"}
    _, answer = function.post(body)
    packed = base64.b64decode(answer["data"][0]["embedding"])
    np.testing.assert_allclose(np.frombuffer(packed, "<f4"), ABC_UNIT, atol=1e-6)
    for name in ("embedding_type", "encoding_type"):
        _, answer = function.post({**body, name: "float"})
        np.testing.assert_allclose(answer["data"][0]["embedding"], ABC_UNIT, atol=1e-6)


@pytest.mark.parametrize(("truncate", "expected"), [("START", A_LEFT_OUT), ("END", D_LEFT_OUT)])
def test_the_request_of_nvidia_nim_s_clients(function: FakeFunction, truncate: str, expected: list[float]) -> None:
    body = {"model": FIRST, "input": ["abc", LONG], "input_type": "passage", "encoding_format": "float"}
    _, answer = function.post({**body, "truncate": truncate})
    np.testing.assert_allclose([row["embedding"] for row in answer["data"]], [ABC_UNIT, expected], atol=1e-6)
    status, answer = function.post({**body, "truncate": "NONE"})  # what they send unless they are told
    assert (status, answer["detail"].partition(":")[0]) == (400, "text_too_long")


def test_the_request_of_llamaindex_s_jina_client(function: FakeFunction) -> None:
    """What llama_index.embeddings.jinaai 0.7 sends for texts, and for a local image and one at an address."""
    base = {"model": FIRST, "encoding_type": "float"}
    _, answer = function.post({**base, "input": ["abc"], "task": "retrieval.passage"})
    np.testing.assert_allclose(answer["data"][0]["embedding"], ABC_UNIT, atol=1e-6)
    _, answer = function.post({**base, "input": [{"bytes": as_base64(image_bytes())}, {"url": RED}]})
    np.testing.assert_allclose([row["embedding"] for row in answer["data"]], [RED_UNIT] * 2, atol=1e-6)
    _, answer = function.post({**base, "input": ["abc"], "encoding_type": "ubinary"})
    assert answer["data"][0]["embedding"] == [0b11100000]
    for body, code in (
        ({**base, "input": [{"url": "https://example.com/a.png"}]}, "url_not_supported: input[0].url: "),
        (
            {**base, "input": ["abc"], "embedding_type": "int8"},
            "invalid_value: embedding_type is int8 and encoding_type",
        ),
    ):
        assert function.post(body)[1]["detail"].startswith(code)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": ["abc"] * 200}),
        ("/v2/embed", {**COHERE, "texts": ["abc"] * 200}),
        ("/embed", {"inputs": ["abc"] * 1_000}),  # a list of as many items as a page has characters
        ("/vectorize", {"texts": ["abc"] * 200}),
    ],
)
def test_vectors_are_not_compressed(tmp_path: Path, path: str, body: Any) -> None:
    """It takes a tenth of a second for each megabyte, and saves half of it at most."""
    event = {"rawPath": path, "requestContext": {"http": {"method": "POST"}}, "headers": {"accept-encoding": "gzip"}}
    answer = FakeFunction(tmp_path / "bundle", max_items=1_000).invoke({**event, "body": json.dumps(body)})
    assert (answer["statusCode"], answer["isBase64Encoded"], len(answer["body"]) > 1_000) == (200, False, True)
    assert "content-encoding" not in answer["headers"]


# What the Go client of Weaviate's text2vec-huggingface writes where no option is set, and where all are; LangChain's
# HuggingFaceInferenceAPIEmbeddings has the first and the last.
@pytest.mark.parametrize("options", [{}, {"wait_for_model": True, "use_gpu": True, "use_cache": True}, None])
def test_tei_s_server_looks_at_no_options_of_the_inference_api(function: FakeFunction, options: Any) -> None:
    assert post(function, "/embed", {"inputs": ["abc"], "options": options}) == (200, [pytest.approx(ABC_UNIT)])


def test_tei_answers_a_bare_list(function: FakeFunction) -> None:
    status, answer = post(function, "/embed", {"inputs": ["abc", "d"], "truncate": True, "normalize": None})
    assert status == 200, answer
    np.testing.assert_allclose(answer, [ABC_UNIT, D_UNIT], atol=1e-6)
    plain = {"inputs": "abc", "normalize": False, "model": SECOND}
    assert post(function, "/embed", {**plain, "encoding_format": "float"}) == (200, [[1, 1, 1, 0]])
    assert post(function, "/embed", plain) == (200, [[1, 1, 1, 0]])
    assert post(function, "/embed", {**plain, "encoding_format": "base64"})[0] == 400  # its clients read numbers alone
    assert function.get("/health")[1]["loaded"] == [FIRST, SECOND]


def test_titan_s_request_is_a_direct_invoke(function: FakeFunction) -> None:
    answer = function.invoke(
        {"inputText": "abc", "inputImage": as_base64(image_bytes()), "embeddingConfig": {"outputEmbeddingLength": 4}}
    )
    np.testing.assert_allclose(answer["embedding"], BOTH, atol=1e-6)
    assert (answer["inputTextTokenCount"], answer["message"]) == (3, None)
    np.testing.assert_allclose(
        function.invoke({"inputImage": as_base64(image_bytes())})["embedding"], RED_UNIT, atol=1e-6
    )


@pytest.mark.parametrize("boundary", ["x", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a'b+c.d"])
def test_immich_reads_the_vector_as_a_string(function: FakeFunction, boundary: str) -> None:
    status, answer = predict(function, {"entries": entries("textual"), "text": b"abc"}, boundary)
    assert status == 200, answer
    np.testing.assert_allclose(json.loads(answer["clip"]), ABC_UNIT, atol=1e-6)
    assert set(answer) == {"clip"}
    _, answer = predict(function, {"entries": entries("visual"), "image": image_bytes(size=(9, 7))}, boundary)
    np.testing.assert_allclose(json.loads(answer["clip"]), RED_UNIT, atol=1e-6)
    assert (answer["imageHeight"], answer["imageWidth"]) == (7, 9)
    ping = function.invoke({"rawPath": "/ping", "requestContext": {"http": {"method": "GET"}}})
    assert (ping["statusCode"], ping["body"]) == (200, "pong")


def test_immich_s_names_are_the_model_s_with_two_underscores(function: FakeFunction) -> None:
    first, *others = function.service.entries()
    models = (first._replace(name="ViT-B-32", pretrained="openai"), *others)
    function.service.models.manifest = function.service.models.manifest._replace(models=models)
    assert predict(function, {"entries": entries("textual", "ViT-B-32__openai"), "text": b"abc"})[0] == 200
    status, answer = predict(function, {"entries": entries("textual", "ViT-B-16__openai"), "text": b"abc"})
    assert (status, answer["detail"].partition(":")[0]) == (404, "model_not_found")


def test_tei_is_posted_to_at_the_root_as_at_its_route(tmp_path: Path, function: FakeFunction) -> None:
    for body in ({"inputs": ["abc", "d"], "normalize": False}, {"inputs": ""}, {"inputs": "a", "colour": 1}):
        assert post(function, "/", body) == post(function, "/embed", body)
    based = FakeFunction(tmp_path / "based", base_path="/clip", pages=False)
    assert post(based, "/clip", {"inputs": "abc", "normalize": False}) == (200, [[1, 1, 1, 0]])
    off = FakeFunction(tmp_path / "off", dialects=("cohere",))
    status, answer = post(off, "/", {"inputs": "abc"})
    assert (status, answer["error"]["message"]) == (405, "/ takes GET, HEAD, OPTIONS")


def test_a_root_that_is_posted_to_says_so(function: FakeFunction) -> None:
    event = {"rawPath": "/", "requestContext": {"http": {"method": "OPTIONS"}}}
    assert function.invoke(event)["headers"]["allow"] == "GET, POST, HEAD, OPTIONS"
    assert function.http("PUT", "/")[1]["error"]["message"] == "/ takes GET, POST, HEAD, OPTIONS"
