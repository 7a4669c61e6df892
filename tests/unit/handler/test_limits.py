"""Requests that would cost too much are refused before anything is computed, with the arithmetic and the cure."""

import contextlib
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handler.endpoints import embeddings
from handler.errors import ApiError
from handler.messages import encode_json
from handler.schemas.limits import check_response_size
from tests.unit.fake_bundle import FIRST, FakeFunction, as_base64, data_uri, encoded, image_bytes
from tests.unit.handler.test_events import HTTP_API, LOAD_BALANCER

BALANCER_LIMIT = 1_000_000  # docs.aws.amazon.com: elasticloadbalancing "Lambda functions as targets", 1 MB of JSON
LAMBDA_LIMIT = 6 * 1024 * 1024  # docs.aws.amazon.com: lambda "Lambda quotas", synchronous invocation payload


def test_an_answer_that_lambda_would_refuse_is_refused_before_a_text_is_embedded(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", max_items=100_000)
    status, answer = function.post({"input": ["a"] * 40_000})

    assert (status, answer["error"]["code"]) == (413, "answer_too_large")
    assert function.loader.loads == []
    message = answer["error"]["message"]
    assert "40,000 vectors of 4 dimensions as float" in message
    assert 'encoding_format to "base64"' in message
    [fit] = re.findall(r"at most ([\d,]+) at once", message)
    assert function.post({"input": ["a"] * int(fit.replace(",", ""))})[0] == 200


def test_an_answer_that_a_load_balancer_would_refuse_is_refused_before_a_text_is_embedded(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", max_items=100_000)
    events = {number: json.dumps({"input": ["a"] * number}) for number in (1_000, 20_000)}
    answer = function.invoke({**LOAD_BALANCER, "body": events[20_000]})

    error = json.loads(answer["body"])["error"]
    assert (answer["statusCode"], error["code"]) == (413, "answer_too_large")
    assert function.loader.loads == []
    assert "a load balancer passes on at most 1,000,000" in error["message"]
    [fit] = re.findall(r"at most ([\d,]+) at once", error["message"])
    most = json.dumps({"input": ["a"] * int(fit.replace(",", ""))})
    answer = function.invoke({**LOAD_BALANCER, "body": most})
    assert answer["statusCode"] == 200
    assert len(json.dumps(answer)) <= BALANCER_LIMIT
    assert function.invoke({**HTTP_API, "body": events[20_000]})["statusCode"] == 200  # Lambda's own limit is higher


def test_a_matrix_that_lambda_would_refuse_is_refused_before_an_image_is_read(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", max_items=1_000)
    body = {"images": [as_base64(image_bytes())] * 700, "texts": ["a"] * 700}
    status, answer = function.http("POST", "/v1/similarity", json.dumps(body).encode())
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (413, "answer_too_large", "images")
    assert function.loader.loads == []


def test_scores_that_are_too_many_for_one_image_are_told_to_have_fewer_texts(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle")

    def classify(images: int, labels: int) -> tuple[int, str]:
        body = {"input": [as_base64(image_bytes())] * images, "labels": [f"{n} " + "a" * 340 for n in range(labels)]}
        answer = function.invoke({**LOAD_BALANCER, "path": "/v1/classify", "body": json.dumps(body)})
        return answer["statusCode"], json.loads(answer["body"]).get("error", {}).get("message", "")

    status, message = classify(1, 256)
    assert (status, message.rpartition(": ")[2]) == (413, "send fewer texts, or shorter ones")
    assert classify(1, 200) == (200, "")
    status, message = classify(2, 200)
    assert (status, message.rpartition(": ")[2]) == (413, "send at most 1 image at once")


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 64, 512, 1152, 4096])
def test_the_most_that_is_let_through_fits(dimensions: int, encoding: str) -> None:
    most = 0
    for step in (100_000, 10_000, 1_000, 100, 10, 1):
        with contextlib.suppress(ApiError):
            while True:
                check_response_size(most + step, dimensions, encoding)
                most += step
    row = np.full(dimensions, -1.2345678e-05, np.float32)
    encode: Any = embeddings._base64 if encoding == "base64" else embeddings.floats
    item = encode_json({"object": "embedding", "index": most, "embedding": encode(row)}, most)
    in_envelope = len(json.dumps(item)) - 2 + 1  # inside the envelope's string, with its comma

    assert most * in_envelope + 1_000 <= LAMBDA_LIMIT
    assert most * in_envelope > 0.8 * LAMBDA_LIMIT or dimensions < 64  # and not much less than would fit


def test_the_pixels_of_all_images_together_are_counted_before_one_is_decoded(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", max_image_pixels=1_000_000, max_request_pixels=2_500_000)
    large = as_base64(encoded(Image.new("1", (1000, 1000)), "PNG"))

    assert function.post({"input": [{"image": large}] * 2})[0] == 200
    done = len(function.loader.engine.image_batches)
    status, answer = function.post({"input": [{"image": large}] * 3})
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (413, "image_too_large", "input")
    assert "3,000,000 pixels together: at most 2,500,000" in answer["error"]["message"]
    assert len(function.loader.engine.image_batches) == done


def test_no_header_is_read_after_those_that_are_too_much_together(tmp_path: Path) -> None:
    """A header may take half a second itself, and a request has 256 of them: the broken one behind is never seen."""
    function = FakeFunction(tmp_path / "bundle", max_image_pixels=1_000_000, max_request_pixels=2_500_000)
    large = {"image": as_base64(encoded(Image.new("1", (1000, 1000)), "PNG"))}
    broken = {"image": as_base64(b"no image")}

    assert function.post({"input": [large, large, broken]})[1]["error"]["code"] == "not_an_image"
    status, answer = function.post({"input": [large, large, large, broken]})
    assert (status, answer["error"]["code"]) == (413, "image_too_large")
    assert answer["error"]["message"].startswith("the first 3 of 4 images have 3,000,000 pixels together")


@pytest.mark.parametrize(
    ("path", "fields", "many", "found"),
    [
        ("/v2/embed", {"model": FIRST, "input_type": "image"}, "images", "image_too_large: the first 3 of 4 images"),
        ("/vectorize", {}, "images", "image_too_large: the first 3 of 4 images"),
        ("/embed", {}, "inputs", "image_too_large: inputs: the first 3 of 4"),
        ("/v1/similarity", {"texts": ["a"]}, "images", "the first 3 of 4"),
    ],
)
def test_the_images_that_are_too_much_together_are_named_as_the_request_names_them(
    tmp_path: Path, path: str, fields: dict[str, Any], many: str, found: str
) -> None:
    function = FakeFunction(tmp_path / "bundle", max_image_pixels=1_000_000, max_request_pixels=2_500_000)
    large = encoded(Image.new("1", (1000, 1000)), "PNG")
    image = as_base64(large) if path == "/vectorize" else data_uri(large)
    status, answer = function.http("POST", path, json.dumps({**fields, many: [image] * 4}).encode())
    assert (status, found in str(answer)) == (413, True), answer
    if path.startswith("/v1/"):
        assert answer["error"]["param"] == many


LARGE = 3_000_000
WRONG = {
    "field": {"input": "a", "x" * LARGE: 1},
    "field of an item": {"input": [{"x" * LARGE: 1}]},
    "text": {"input": "a", "encoding_format": "x" * LARGE},
    "list": {"input": [{"type": [1] * LARGE}]},
    "lists of a list": {"input": [{"content": "a", "role": [[[1] * LARGE]]}]},
    "model": {"input": "a", "model": "x" * LARGE},
    "field of another's": {"inputText": "a", "x" * LARGE: 1},
}


@pytest.mark.parametrize("what", WRONG)
def test_an_error_message_takes_no_more_memory_than_its_text(tmp_path: Path, what: str) -> None:
    function = FakeFunction(tmp_path / "bundle")
    function.invoke({"input": "a", "colour": 1})
    tracemalloc.start()
    try:
        answer = function.invoke(WRONG[what])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 50 < len(answer["error"]["message"]) < 250
    assert peak < LARGE // 3
