"""The image of each engine, built without a network and run as Lambda would run it."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from infra.settings import StackSettings
from tests.conftest import build_demo
from tests.e2e import container
from tests.e2e.conftest import package
from tests.e2e.stand_in import base_image
from tests.local.emulator import Function
from tests.local.test_emulator import decoded, golden, vectors

MEMORY_MB: int = StackSettings.model_fields["memory"].default  # as deployed
LEAST = {"int8": 0.999, "fp32": 0.99999}  # cosine to open_clip
# Our part on top of the base image, without the model.
MOST_BYTES = {"onnx": 190_000_000, "openvino": 260_000_000, "torch": 1_100_000_000}
# torch's CPU build for 3.13 is on PyTorch's own index alone; its build for 3.11 can be had wherever the builder was.
PYTHONS = {"onnx": "3.13", "openvino": "3.13", "torch": "3.11"}


@dataclass(frozen=True)
class Packaged:
    """One engine's image, and the bundle and the artefacts that it was made from."""

    engine: str
    precision: str
    bundle: Path
    output: Path
    image: str


@pytest.fixture(scope="module", params=["openvino int8", "onnx int8", "torch fp32"])
def packaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packaged]:
    engine, precision = request.param.split()
    root = tmp_path_factory.mktemp(engine)
    bundle = build_demo(root, engine, precision)
    retarget(bundle, python=PYTHONS[engine])
    output = package(bundle, root / "packaged")
    with container.image(output / "image", base_image(PYTHONS[engine]), f"openclip-lambda-test:{engine}") as image:
        yield Packaged(engine, precision, bundle, output, image)


@pytest.fixture(scope="module")
def function(packaged: Packaged) -> Iterator[Function]:
    with container.running(packaged.image, MEMORY_MB) as running:
        yield running


def retarget(bundle: Path, **target: str) -> None:
    """Change what a bundle is built for: nothing in it but this entry depends on it."""
    path = bundle / "manifest.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["target"] |= target
    path.unlink()  # may be linked to the builder's cache
    path.write_text(json.dumps(facts), encoding="utf-8")


def picture(kind: str, mode: str) -> dict[str, str]:
    pixels = np.random.default_rng(7).integers(0, 255, (61, 83, 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(buffer, kind)
    return {"image": base64.b64encode(buffer.getvalue()).decode()}


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


def test_what_was_trimmed_away_is_missed_by_no_caption_and_no_picture(packaged: Packaged, function: Function) -> None:
    texts = ["“a red circle”", "a red circle &amp; a star", "Ã©toile rouge", "一个红色的圆形", "x" * 500, "🟥 ｆｕｌｌ"]
    kinds = [("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGBA"), ("GIF", "P"),
             ("BMP", "RGB"), ("PNG", "L"), ("PNG", "LA")]  # fmt: skip
    pictures = [picture(kind, mode) for kind, mode in kinds]

    status, answer = function.post("/v1/embeddings", json.dumps({"input": [*texts, *pictures]}), "application/json")

    assert status == 200, answer
    assert len(answer["data"]) == len(texts) + len(kinds)


def test_the_deep_health_check_passes_inside(packaged: Packaged, function: Function) -> None:
    status, report = function.get("/health", "deep=true")

    contract: Any = json.loads((packaged.output / "package.json").read_text())
    assert status == 200, report
    assert report["manifest_sha256"] == contract["manifest_sha256"]


def test_our_part_of_the_image_stays_small(packaged: Packaged) -> None:
    model_bytes = sum(path.stat().st_size for path in packaged.bundle.rglob("*") if path.is_file())
    ours = container.bytes_over(packaged.image, base_image(PYTHONS[packaged.engine])) - model_bytes

    print(f"{packaged.engine}: {ours / 1e6:.1f} MB on top of the base image, the model not counted")
    assert ours < MOST_BYTES[packaged.engine]


def test_one_line_of_the_handler_changes_one_small_layer(packaged: Packaged) -> None:
    base = base_image(PYTHONS[packaged.engine])
    before = container.layers(packaged.image)
    source = packaged.output / "image" / "handler" / "api.py"
    text = source.read_text()
    try:
        source.write_text(text + "# one line\n")
        with container.image(packaged.output / "image", base, "openclip-lambda-test:changed") as changed:
            after = container.layers(changed)
    finally:
        source.write_text(text)

    new = sum(size for digest, size in after.items() if digest not in before)
    ours = container.bytes_over(packaged.image, base)  # of the image without the base: the model here is tiny
    print(f"{packaged.engine}: {new:,} bytes are new, {new / ours:.2%} of ours, {new / sum(after.values()):.2%} of all")
    assert 0 < new < 0.02 * ours


def test_the_libraries_ask_for_no_newer_glibc_than_amazon_linux_2023_has(packaged: Packaged) -> None:
    asked = {}
    for path in (packaged.output / "image" / "dependencies").rglob("*.so*"):
        asked[path.name] = container.newest_glibc(path)

    assert any(asked.values())
    assert {name: minor for name, minor in asked.items() if minor > 34} == {}
