"""A function has the memory that its bundle was made for, unless told; synth advises on the engine."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from infra.assembly import engine_advice
from infra.package import read_package
from infra.settings import StackSettings
from tests.infra import fake_build
from tests.infra.conftest import synthesized, the_function


def build(folder: Path, engine: str, **target: Any) -> Path:
    """Write a build for a target, whose model is of an engine."""
    fake_build.write(folder)
    manifest, package = folder / "bundle" / "manifest.json", folder / "package.json"
    facts = json.loads(manifest.read_text())
    facts["target"] |= target
    facts["models"][0]["engine"] = engine
    manifest.write_text(json.dumps(facts))
    known = json.loads(package.read_text())
    package.write_text(json.dumps(known | {"manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}))
    return folder


@pytest.mark.parametrize(
    ("target", "context", "expected"),
    [({}, {}, 3008), ({"memory": 1769}, {}, 1769), ({"memory": 1769}, {"memory": "4096"}, 4096)],
)
def test_the_memory_of_models_toml_is_the_functions_unless_told(
    tmp_path: Path, target: dict[str, Any], context: dict[str, Any], expected: int
) -> None:
    template = synthesized(build(tmp_path / "build", "onnx", **target), tmp_path / "out", context)
    assert the_function(template)["MemorySize"] == expected


@pytest.mark.parametrize(
    ("engine", "memory", "advised"),
    [("openvino", 1769, True), ("openvino", 2653, True), ("openvino", 2654, False), ("onnx", 1769, False)],
)
def test_synth_says_where_another_engine_starts_sooner(tmp_path: Path, engine: str, memory: int, advised: bool) -> None:
    package = read_package(build(tmp_path, engine), fake_build.ROOT / "handler")
    advice = engine_advice(package, StackSettings(memory=memory))
    assert (advice is not None) == advised
    assert advice is None or "set memory = " in advice
