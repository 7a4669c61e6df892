"""POST /v1/classify and POST /v1/similarity: their shapes, their checks, and the two activations."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.endpoints.zero_shot import activate
from tests.unit.fake_bundle import FIRST, SECOND, FakeFunction, as_base64, data_uri, image_bytes

RED, GREEN = as_base64(image_bytes((255, 0, 0))), as_base64(image_bytes((0, 255, 0)))
# An image is (r, g, b, 1), a text counts its a, b, c, d: "ad" is red, "bd" is green.


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle")


def ask(function: FakeFunction, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    return function.http("POST", path, json.dumps(body).encode())


def test_an_image_gets_the_label_that_is_nearest_with_softmax_over_the_model_s_scale(function: FakeFunction) -> None:
    status, body = ask(function, "/v1/classify", {"input": RED, "labels": ["ad", "bd"], "template": "{}"})

    near, far = math.exp(10 * 1.0), math.exp(10 * 0.5)  # the fake model's scale is 10
    assert status == 200, body
    assert body == {
        "object": "list",
        "data": [
            {
                "object": "classification",
                "index": 0,
                "prediction": "ad",
                "score": pytest.approx(near / (near + far)),
                "predictions": [
                    {"label": "ad", "score": pytest.approx(near / (near + far))},
                    {"label": "bd", "score": pytest.approx(far / (near + far))},
                ],
            }
        ],
        "activation": "softmax",
        "model": FIRST,
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


def test_without_a_template_labels_stand_in_a_photo_of(function: FakeFunction) -> None:
    ask(function, "/v1/classify", {"input": {"image": RED}, "labels": ["cat"]})
    assert function.loader.engine.text_batches == [["a photo of a cat"]]


def test_templates_are_averaged_at_unit_length(function: FakeFunction) -> None:
    body = {"input": [RED], "labels": ["a", "b"], "template": ["{}", "{}ddd"]}
    status, answer = ask(function, "/v1/classify", body)

    assert status == 200, answer
    mean = np.array([1, 0]) / 2 + np.array([1, 3]) / math.sqrt(10) / 2  # in the plane of a (or b) and d
    mean /= np.linalg.norm(mean)
    cosines = np.array([mean @ [1, 1], mean @ [0, 1]]) / math.sqrt(2)
    powers = np.exp(10 * cosines)
    assert [row["score"] for row in answer["data"][0]["predictions"]] == pytest.approx(powers / powers.sum(), rel=1e-5)


def test_a_model_with_a_bias_scores_each_label_alone(function: FakeFunction) -> None:
    entry = function.service.models.manifest.models[0]._replace(logit_scale=100.0, logit_bias=-10.0)
    scores = activate(np.array([[0.2, 0.1, -1.0]], np.float32), entry)
    assert scores[0].tolist() == pytest.approx([1 / (1 + math.exp(-10)), 0.5, 0.0], abs=1e-6)


def test_similarity_is_a_row_for_each_image_and_a_column_for_each_text(function: FakeFunction) -> None:
    body = {"images": [RED, {"image": data_uri(image_bytes((0, 255, 0)))}], "texts": ["ad", "bd", "b"], "model": SECOND}
    status, answer = ask(function, "/v1/similarity", body)

    assert (status, answer["model"]) == (200, SECOND)
    np.testing.assert_allclose(answer["scores"], [[1, 0.5, 0], [0.5, 1, 0.5**0.5]], atol=1e-6)
    assert (answer["logit_scale"], answer["logit_bias"], answer["activation"]) == (10.0, None, "softmax")


CLASSIFY, SIMILARITY = "/v1/classify", "/v1/similarity"
BAD: list[tuple[str, Any, int, str, str | None]] = [
    (CLASSIFY, {"labels": ["a"]}, 400, "missing_input", "input"),
    (CLASSIFY, {"input": RED}, 400, "missing_input", "labels"),
    (CLASSIFY, {"input": RED, "labels": []}, 400, "empty_input", "labels"),
    (CLASSIFY, {"input": RED, "labels": "a"}, 400, "invalid_type", "labels"),
    (CLASSIFY, {"input": RED, "labels": ["a", 1]}, 400, "invalid_type", "labels[1]"),
    (CLASSIFY, {"input": RED, "labels": ["a" * 1001]}, 400, "text_too_long", "labels[0]"),
    (CLASSIFY, {"input": RED, "labels": ["a"], "template": "a photo"}, 400, "invalid_value", "template"),
    (CLASSIFY, {"input": RED, "labels": ["a"], "template": ["{}", "b"]}, 400, "invalid_value", "template[1]"),
    (CLASSIFY, {"input": RED, "labels": ["a" * 999], "template": "{}" * 11}, 400, "text_too_long", "template"),
    (CLASSIFY, {"input": RED, "labels": ["a"] * 129, "template": ["{}", "{}"]}, 400, "too_many_items", "labels"),
    (CLASSIFY, {"input": {"text": "a"}, "labels": ["a"]}, 400, "unknown_field", "input.text"),
    (CLASSIFY, {"input": "a red circle", "labels": ["a"]}, 400, "invalid_base64", "input"),
    (CLASSIFY, {"input": [RED, as_base64(b"text")], "labels": ["a"]}, 400, "not_an_image", "input[1]"),
    (CLASSIFY, {"input": RED, "labels": ["a"], "model": "x"}, 404, "model_not_found", "model"),
    (SIMILARITY, {"images": [], "texts": ["a"]}, 400, "empty_input", "images"),
    (SIMILARITY, {"images": [RED], "texts": [""]}, 400, "empty_input", "texts[0]"),
    (SIMILARITY, {"images": RED, "texts": ["a"]}, 400, "invalid_type", "images"),
    (SIMILARITY, {"images": [RED], "text": ["a"]}, 400, "unknown_field", "text"),
    (SIMILARITY, {"images": [as_base64(image_bytes()[:-30])], "texts": ["a"]}, 400, "truncated_image", "images[0]"),
    (SIMILARITY, [], 400, "invalid_type", None),
]


@pytest.mark.parametrize(("path", "body", "status", "code", "param"), BAD)
def test_a_bad_body_names_its_field(
    function: FakeFunction, path: str, body: Any, status: int, code: str, param: str | None
) -> None:
    found, answer = ask(function, path, body)
    assert (found, answer["error"]["code"], answer["error"]["param"]) == (status, code, param), answer
