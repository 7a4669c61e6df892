"""The image of each engine, built without a network and run as Lambda would run it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import build_demo
from tests.e2e import container
from tests.e2e.conftest import package
from tests.e2e.stand_in import base_image
from tests.local.emulator import Function
from tests.local.test_emulator import decoded, golden, vectors

MEMORY_MB = 1769  # one vCPU
LEAST = {"int8": 0.999, "fp32": 0.99999}  # cosine to open_clip


@dataclass(frozen=True)
class Packaged:
    """One engine's image, and the bundle and the artefacts that it was made from."""

    engine: str
    precision: str
    bundle: Path
    output: Path
    image: str


@pytest.fixture(scope="module", params=["openvino int8 3.13", "onnx int8 3.13"])
def packaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packaged]:
    engine, precision, python = request.param.split()
    root = tmp_path_factory.mktemp(engine)
    bundle = build_demo(root, engine, precision)
    output = package(bundle, root / "packaged")
    with container.image(output / "image", base_image(python), f"openclip-lambda-test:{engine}") as image:
        yield Packaged(engine, precision, bundle, output, image)


@pytest.fixture(scope="module")
def function(packaged: Packaged) -> Iterator[Function]:
    with container.running(packaged.image, MEMORY_MB) as running:
        yield running


def test_the_image_serves_what_open_clip_computed(packaged: Packaged, function: Function) -> None:
    expected = golden(packaged.bundle)
    pictures = [{"image": picture} for picture in expected["images"]]

    status, answer = function.post(
        "/v1/embeddings", json.dumps({"input": [*expected["texts"], *pictures]}), "application/json"
    )

    assert status == 200, answer
    wanted = decoded(expected["text_embeddings"] + expected["image_embeddings"])
    assert (vectors(answer) * wanted).sum(axis=1).min() >= LEAST[packaged.precision]
    np.testing.assert_allclose(np.linalg.norm(vectors(answer), axis=1), 1, atol=1e-6)


def test_the_deep_health_check_passes_inside(packaged: Packaged, function: Function) -> None:
    status, report = function.get("/health", "deep=true")

    contract: Any = json.loads((packaged.output / "package.json").read_text())
    assert status == 200, report
    assert report["manifest_sha256"] == contract["manifest_sha256"]
