"""The handler on every engine as AWS's own runtime client runs it: every kind of event and of initialization."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bounds import MIN_COSINE
from tests.conftest import build_demo
from tests.local.emulator import Function

MODEL = "openclip-lambda/shapes-i18n"
Start = Callable[..., Function]


@pytest.fixture(scope="module", params=["torch fp32", "onnx int8", "openvino int8"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("demo"), *request.param.split())


def least(bundle: Path) -> float:
    """The lowest cosine to open_clip that the bundle's precision allows."""
    return MIN_COSINE[json.loads((bundle / "manifest.json").read_text())["models"][0]["precision"]]


def golden(bundle: Path) -> dict[str, Any]:
    """What open_clip itself computed when the bundle was built."""
    facts: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())["models"][0]["golden"]
    return facts


def vectors(answer: dict[str, Any]) -> NDArray[np.float32]:
    return np.array([item["embedding"] for item in answer["data"]], np.float32)


def decoded(golden_vectors: list[str]) -> NDArray[np.float32]:
    return np.stack([np.frombuffer(base64.b64decode(vector), "<f4") for vector in golden_vectors])


def test_texts_and_images_come_out_as_open_clip_embeds_them(bundle: Path, start_function: Start) -> None:
    expected = golden(bundle)
    function = start_function(bundle)
    images = [{"image": image} for image in expected["images"]]

    status, answer = function.post(
        "/v1/embeddings", json.dumps({"input": [*expected["texts"], *images]}), "application/json"
    )

    assert status == 200, answer
    found = vectors(answer)
    wanted = decoded(expected["text_embeddings"] + expected["image_embeddings"])
    assert (found * wanted).sum(axis=1).min() >= least(bundle)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_direct_invoke_gives_the_same_answer_as_http(bundle: Path, start_function: Start) -> None:
    body = {"input": ["a red circle", "一个红色的圆形"], "model": MODEL}
    function = start_function(bundle)

    status, over_http = function.post("/v1/embeddings", json.dumps(body), "application/json")

    assert status == 200
    assert function.invoke(body) == over_http


def test_an_image_may_be_the_body_as_api_gateway_encodes_it(bundle: Path, start_function: Start) -> None:
    expected = golden(bundle)
    function = start_function(bundle)

    status, answer = function.post("/v1/embeddings", expected["images"][0], "image/png", encoded=True)

    assert status == 200, answer
    assert float((vectors(answer)[0] * decoded(expected["image_embeddings"])[0]).sum()) >= least(bundle)


def test_an_error_is_an_answer_and_the_next_request_is_served(bundle: Path, start_function: Start) -> None:
    function = start_function(bundle)

    status, answer = function.post("/v1/embeddings", "{", "application/json")

    assert (status, answer["error"]["code"]) == (400, "invalid_json")
    assert function.invoke({"input": [[1, 2]]})["error"]["code"] == "token_ids_not_supported"
    assert len(function.invoke({"input": "a red circle"})["data"]) == 1


def test_the_deep_health_check_passes_on_a_bundle_as_built(bundle: Path, start_function: Start) -> None:
    status, report = start_function(bundle, OPENCLIP_CACHE_MODE="copy").get("/health", "deep=true")

    assert status == 200, report
    assert report["models"][0]["token_ids_equal"] is True
    assert report["models"][0]["min_image_cosine"] >= least(bundle)


def test_on_demand_the_first_request_says_what_is_loaded(bundle: Path, start_function: Start) -> None:
    function = start_function(bundle)

    # The emulator starts the runtime at the first invocation, which here asks for nothing that needs the model.
    before = function.get("/health")[1]
    function.invoke({"input": "a red circle"})
    after = function.get("/health")[1]

    assert (before["loaded"], before["cold_start_seconds"]) == ([], None)
    assert after["loaded"] == [MODEL]
    assert after["cold_start_seconds"] > 0


def test_with_provisioned_concurrency_the_model_is_there_when_init_ends(bundle: Path, start_function: Start) -> None:
    function = start_function(bundle, AWS_LAMBDA_INITIALIZATION_TYPE="provisioned-concurrency")

    status, report = function.get("/health")

    assert (status, report["loaded"]) == (200, [MODEL])
    assert report["cold_start_seconds"] > 0


def test_a_function_without_a_bundle_answers_with_the_reason(tmp_path: Path, start_function: Start) -> None:
    function = start_function(tmp_path / "nothing")

    status, report = function.get("/health")

    assert (status, report["status"]) == (503, "error")
    assert "python -m layer build" in report["reason"]
    assert function.invoke({"input": "a red circle"})["error"]["code"] == "not_ready"
