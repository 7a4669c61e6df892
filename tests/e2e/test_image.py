"""The image of each engine, built without a network and run as Lambda would run it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.settings import StackSettings
from layer.cli.parser import CACHE
from layer.engines import ENGINES
from layer.package import runtime_cache, trim
from layer.spec import Target
from tests.conftest import build_demo
from tests.e2e import container
from tests.e2e.ask import assert_as_open_clip, assert_takes_every_kind
from tests.e2e.builds import Builds
from tests.e2e.packages import package, retarget
from tests.e2e.stand_in import base_image
from tests.local.emulator import Function

pytestmark = pytest.mark.timeout(1800)  # torch's image is a gigabyte to copy, on a machine with other things to do
MEMORY_MB: int = StackSettings.model_fields["memory"].default  # as deployed
# Our part on top of the base image, without the model.
MOST_BYTES = {"onnx": 110_000_000, "openvino": 170_000_000, "torch": 880_000_000}
# torch's CPU build for 3.13 is on PyTorch's own index alone; its build for 3.11 can be had wherever the builder was.
PYTHONS = {"onnx": "3.13", "openvino": "3.13", "torch": "3.11"}


@dataclass(frozen=True)
class Packaged:
    """One engine's image, and the bundle and the artifacts that it was made from."""

    engine: str
    precision: str
    bundle: Path
    output: Path
    image: str


@pytest.fixture(scope="module", params=["openvino int8", "onnx int8", "torch fp32"])
def packaged(
    request: pytest.FixtureRequest, build: Builds, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Packaged]:
    engine, precision = request.param.split()
    output = (
        build("image", precision) if engine == "onnx" else other(engine, precision, tmp_path_factory.mktemp(engine))
    )
    with container.image(output / "image", base_image(PYTHONS[engine]), f"openclip-lambda-test:{engine}") as image:
        yield Packaged(engine, precision, output / "bundle", output, image)


def other(engine: str, precision: str, root: Path) -> Path:
    """Build and package the embedded model for an engine of which nothing else here needs a build."""
    bundle = build_demo(root, engine, precision)
    retarget(bundle, python=PYTHONS[engine])
    return package(bundle, root)


@pytest.fixture(scope="module")
def function(packaged: Packaged) -> Iterator[Function]:
    with container.running(packaged.image, MEMORY_MB) as running:
        yield running


def test_the_image_serves_what_open_clip_computed(packaged: Packaged, function: Function) -> None:
    assert_as_open_clip(function, packaged.bundle)


def test_what_was_trimmed_away_is_missed_by_no_caption_and_no_image(function: Function) -> None:
    assert_takes_every_kind(function)


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
    code = ENGINES[packaged.engine].code_bytes
    assert 0.95 * code < ours <= code  # what `inspect` reckons with


@pytest.mark.parametrize("packaged", ["onnx int8"], indirect=True)  # the smallest: the hardest to keep a share of
def test_one_line_of_the_handler_changes_one_small_layer(packaged: Packaged) -> None:
    base = base_image(PYTHONS[packaged.engine])
    before = container.layers(packaged.image)
    source = packaged.output / "image" / "handler" / "http" / "dispatch.py"
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


def test_no_line_of_the_trimming_list_is_dead() -> None:
    taken: Counter[str] = Counter()
    # Installed for the images above: the embedded model's tokenizer is transformers'.
    trees = [([engine, *(["transformers"] if engine == "torch" else [])], python) for engine, python in PYTHONS.items()]
    for engines, python in [*trees, (["onnx", "search"], PYTHONS["onnx"])]:
        target = Target(python, "x86_64")
        taken.update(json.loads((runtime_cache.cached(engines, target, None, CACHE) / "trimmed.json").read_text()))

    assert set(taken) == set(trim.rules())
    assert [rule for rule, files in taken.items() if files == 0] == []
