"""POST /v1/embeddings: what goes in comes out in its order, its form and its length."""

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from handler.endpoints.embeddings import floats
from tests.unit.fake_bundle import EMBED_DIM, FIRST, SECOND, FakeFunction, as_base64, data_uri, image_bytes

RED, GREEN = [math.sqrt(0.5), 0, 0, math.sqrt(0.5)], [0, math.sqrt(0.5), 0, math.sqrt(0.5)]


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle")


def vectors(answer: tuple[int, dict[str, Any]]) -> Any:
    status, body = answer
    assert status == 200, body
    assert [row["index"] for row in body["data"]] == list(range(len(body["data"])))
    return [row["embedding"] for row in body["data"]]


def test_a_text_gives_a_vector_of_unit_length_in_openai_shape(function: FakeFunction) -> None:
    status, body = function.post({"input": "aabb", "model": FIRST, "user": "someone"})

    assert status == 200
    assert body == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": pytest.approx([0.5**0.5, 0.5**0.5, 0, 0])}],
        "model": FIRST,
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


def test_the_request_of_ragflow(function: FakeFunction) -> None:
    """What its releases of before August 2026 send to every provider that is like OpenAI, by openai's package."""
    asked = {"input": ["abc", "d"], "model": FIRST, "encoding_format": "float"}
    assert function.post({**asked, "drop_params": True}) == function.post(asked)
    status, answer = function.post({**asked, "drop_params": "true"})
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "invalid_type", "drop_params")


def test_texts_and_images_in_any_order_keep_it_and_share_a_batch_each(function: FakeFunction) -> None:
    answer = function.post(
        {
            "input": [
                {"image": as_base64(image_bytes((0, 255, 0)))},
                "a",
                data_uri(image_bytes((255, 0, 0))),
                {"text": "b"},
                {"image": data_uri(image_bytes((255, 0, 0), "BMP"), "image/bmp")},
            ]
        }
    )

    expected = np.array([GREEN, [1, 0, 0, 0], RED, [0, 1, 0, 0], RED])
    np.testing.assert_allclose(vectors(answer), expected, atol=1e-6)
    assert answer[1]["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert function.loader.engine.text_batches == [["a", "b"]]
    assert function.loader.engine.image_batches == [(3, 3, 8, 8)]


def test_many_items_run_in_several_batches_and_keep_their_order(function: FakeFunction) -> None:
    texts = ["abcd"[index % 4] for index in range(70)]
    found = vectors(function.post({"input": texts}))
    assert found == [[float(letter == text) for letter in "abcd"] for text in texts]
    assert max(len(batch) for batch in function.loader.engine.text_batches) <= 32


def test_a_single_object_is_a_list_of_one(function: FakeFunction) -> None:
    np.testing.assert_allclose(vectors(function.post({"input": {"image": as_base64(image_bytes())}})), [RED], atol=1e-6)


def test_modality_image_makes_every_string_an_image(function: FakeFunction) -> None:
    body = {"input": [as_base64(image_bytes()), data_uri(image_bytes())], "modality": "image"}
    np.testing.assert_allclose(vectors(function.post(body)), [RED, RED], atol=1e-6)


def test_modality_text_makes_every_string_a_text(function: FakeFunction) -> None:
    function.post({"input": "data:image/png;base64,a", "modality": "text"})
    assert function.loader.engine.text_batches == [["data:image/png;base64,a"]]


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/octet-stream",
        "IMAGE/png;charset=utf-8",
        "text/plain",
        "application/octet-stream;name=a photo.heic",
        f"application/octet-stream;name={'x' * 300}",
    ],
)
def test_a_data_uri_of_whatever_type_is_an_image(function: FakeFunction, kind: str) -> None:
    """A browser names no type for a file that it does not know; what is there decides, as in a body."""
    encoded = as_base64(image_bytes())
    np.testing.assert_allclose(vectors(function.post({"input": f"data:{kind};base64,{encoded}"})), [RED], atol=1e-6)
    status, body = function.post({"input": f"data:{kind};base64,{as_base64(b'words')}"})
    assert (status, body["error"]["code"]) == (400, "not_an_image")


@pytest.mark.parametrize(
    "text", ["data:a,b", "data: a b;base64,c", "data:,", "see data:;base64,aa", "data:" + "a" * 400]
)
def test_a_text_that_is_nearly_a_data_uri_stays_a_text(function: FakeFunction, text: str) -> None:
    function.post({"input": text})
    assert function.loader.engine.text_batches == [[text]]


def test_base64_with_line_breaks_as_encoders_of_mail_make_it_is_read(function: FakeFunction) -> None:
    wrapped = base64.encodebytes(image_bytes()).decode()
    assert "\n" in wrapped.strip()
    np.testing.assert_allclose(vectors(function.post({"input": [{"image": wrapped}]})), [RED], atol=1e-6)


@pytest.mark.parametrize("form", ["\n data:image/png;base64,{}\n", "{}\t", " {} ", "data:;base64, {}\r\n"])
def test_space_around_base64_is_no_part_of_it(function: FakeFunction, form: str) -> None:
    """As in a URL by the URL Standard, and in base64 by Infra's forgiving decoder."""
    text = form.format(as_base64(image_bytes()))
    np.testing.assert_allclose(vectors(function.post({"input": {"image": text}})), [RED], atol=1e-6)
    if "data:" in form:
        np.testing.assert_allclose(vectors(function.post({"input": text})), [RED], atol=1e-6)


def test_encoding_format_base64_is_little_endian_float32(function: FakeFunction) -> None:
    [encoded] = vectors(function.post({"input": "aab", "encoding_format": "base64", "normalize": False}))
    assert struct.unpack("<4f", base64.b64decode(encoded)) == (2.0, 1.0, 0.0, 0.0)


def test_floats_name_the_same_float32_as_base64_does(function: FakeFunction) -> None:
    text = "aaabbcd"
    [numbers] = vectors(function.post({"input": text}))
    [encoded] = vectors(function.post({"input": text, "encoding_format": "base64"}))
    assert np.array(numbers, np.float32).tolist() == list(struct.unpack("<4f", base64.b64decode(encoded)))


@given(arrays(np.float32, 8, elements=st.floats(-1e6, 1e6, width=32).filter(lambda x: not 0 < abs(x) < 1e-14)))
def test_floats_have_nine_digits(vector: NDArray[np.float32]) -> None:
    assert floats(vector) == [float(f"{number:.9g}") for number in vector.tolist()]


def test_floats_next_to_nothing_stay_next_to_nothing() -> None:
    assert floats(np.array([1e-15, -1e-30, 1e-45], np.float32)) == [1e-15, 0.0, 0.0]


def test_normalize_false_gives_the_tower_s_own_vector(function: FakeFunction) -> None:
    assert vectors(function.post({"input": "aab", "normalize": False})) == [[2.0, 1.0, 0.0, 0.0]]


def test_a_vector_of_zeros_stays_zeros_as_torch_normalizes_it(function: FakeFunction) -> None:
    assert vectors(function.post({"input": "z"})) == [[0.0, 0.0, 0.0, 0.0]]


def test_the_model_s_own_dimensions_and_nulls_are_as_good_as_absent(function: FakeFunction) -> None:
    fields = dict.fromkeys(["model", "encoding_format", "modality", "normalize", "user"])
    assert vectors(function.post({"input": "a", "dimensions": EMBED_DIM, **fields})) == [[1.0, 0.0, 0.0, 0.0]]


def test_the_second_model_is_loaded_when_it_is_asked_for(function: FakeFunction) -> None:
    function.post({"input": "a"})
    assert function.loader.loads == [FIRST]
    assert function.post({"input": "a", "model": SECOND})[1]["model"] == SECOND
    assert function.loader.loads == [FIRST, SECOND]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_an_image_as_the_body_is_embedded_whatever_its_header_says(function: FakeFunction, kind: str) -> None:
    found = vectors(function.http("POST", "/v1/embeddings", image_bytes((255, 0, 0), kind), "image/png"))
    np.testing.assert_allclose(found, [RED], atol=0.01)


def test_an_image_as_the_body_takes_its_options_from_the_query(function: FakeFunction) -> None:
    query = f"model={SECOND.replace('/', '%2F')}&encoding_format=base64&normalize=false&dimensions=4"
    status, body = function.http("POST", "/v1/embeddings", image_bytes(), "IMAGE/PNG", query)
    assert (status, body["model"]) == (200, SECOND)
    assert struct.unpack("<4f", base64.b64decode(body["data"][0]["embedding"])) == (1.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "Application/JSON", "a/b+json"])
def test_json_is_read_under_any_of_its_content_types(function: FakeFunction, content_type: str | None) -> None:
    assert vectors(function.http("POST", "/v1/embeddings", b'{"input": "a"}', content_type)) == [[1.0, 0.0, 0.0, 0.0]]


def test_a_direct_invoke_gives_the_bare_answer_and_the_bare_error(function: FakeFunction) -> None:
    body = {"input": ["a", data_uri(image_bytes())]}
    assert function.invoke(body) == function.post(body)[1]
    assert function.invoke({"input": ""}) == function.post({"input": ""})[1]


def test_a_header_names_the_texts_that_fill_the_models_context(function: FakeFunction) -> None:
    def full(path: str, body: object) -> str | None:
        event = {
            "rawPath": path,
            "requestContext": {"http": {"method": "POST"}},
            "headers": {"content-type": "application/json"},
            "body": json.dumps(body),
        }
        header: str | None = function.invoke(event)["headers"].get("x-openclip-full")
        return header

    assert full("/v1/embeddings", {"input": ["a", "a" * 15]}) is None
    assert full("/v1/embeddings", {"input": ["a", "b" * 16, {"text": "c" * 40}]}) == "input[1], input[2]"
    body = {"images": [as_base64(image_bytes())], "texts": ["a" * 16, "a"]}
    assert full("/v1/similarity", body) == "texts[0]"
    body = {"input": [as_base64(image_bytes())], "labels": ["a", "b" * 20], "template": ["{}", "c{}"]}
    assert full("/v1/classify", body) == "labels[1]"
    body = {"input": [as_base64(image_bytes())], "labels": ["b" * 20, "a" * 20], "template": ["{}"] * 40}
    assert full("/v1/classify", body) == "labels[0], labels[1]"  # each once, whatever the number of its prompts
    assert len((full("/v1/embeddings", {"input": ["d" * 16] * 200}) or "").split(", ")) == 32


def test_a_text_fills_the_context_one_token_earlier_where_its_end_is_padding(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle")
    engine = vars(function.loader.engine)
    engine["token_facts"] = lambda: {"eos_id": 0}  # as of SigLIP's tokenizer, which `torch` reads itself
    event = {"rawPath": "/v1/embeddings", "requestContext": {"http": {"method": "POST"}}}
    answer = function.invoke({**event, "body": json.dumps({"input": ["a" * 14, "b" * 15]})})
    assert answer["headers"]["x-openclip-full"] == "input[1]"


def test_a_token_of_a_text_that_has_padding_s_id_is_counted(function: FakeFunction) -> None:
    _, answer = function.post({"input": ["a\0b", "\0abcd"]})  # LetterEngine pads with 0
    assert answer["usage"]["prompt_tokens"] == 3 + 4  # what stands at an end cannot be told from padding
    assert function.post({"input": "a" + "\0" * 14 + "b"})[1]["usage"]["prompt_tokens"] == 16
