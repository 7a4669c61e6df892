"""A function has the memory that its bundle was made for, unless told; synth advises on the engine."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from infra.assembly import engine_advice
from infra.errors import PackageError, SettingsError
from infra.package import read_package
from infra.settings import StackSettings
from tests.infra import fake_build
from tests.infra.conftest import synthesized, the_function


def build(folder: Path, engine: str, packaged: Any = None, **target: Any) -> Path:
    """Write a build for a target, whose model is of an engine; `packaged` is the memory that package.json names."""
    fake_build.write(folder)
    manifest, package = folder / "bundle" / "manifest.json", folder / "package.json"
    facts = json.loads(manifest.read_text())
    facts["target"] |= target
    facts["models"][0]["engine"] = engine
    manifest.write_text(json.dumps(facts))
    known = json.loads(package.read_text())
    known["manifest_sha256"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    package.write_text(json.dumps(known | ({} if packaged is None else {"memory": packaged})))
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


@pytest.mark.parametrize(("memory", "room"), [(4096, 4096), (1769, 1769), (None, 3008)])
def test_what_models_may_take_is_held_to_the_memory_that_the_function_has(
    tmp_path: Path, memory: int | None, room: int
) -> None:
    folder = build(tmp_path / "build", "onnx", **({"memory": memory} if memory else {}))
    template = synthesized(folder, tmp_path / "fits", {"model_memory_mb": str(room)})
    assert the_function(template)["MemorySize"] == room
    with pytest.raises(SettingsError, match=f"model_memory_mb={room + 1} is more than memory={room}"):
        synthesized(folder, tmp_path / "over", {"model_memory_mb": str(room + 1)})


@pytest.mark.parametrize(("target", "expected"), [({}, 5120), ({"memory": 1769}, 1769)])
def test_a_project_is_deployed_with_the_memory_of_its_package(
    tmp_path: Path, target: dict[str, Any], expected: int
) -> None:
    context = json.loads((fake_build.ROOT / "examples" / "project" / "cdk.json").read_text())["context"]
    own = {name: value for name, value in context.items() if name not in ("stack_name", "build_dir")}

    template = synthesized(build(tmp_path / "build", "onnx", packaged=5120, **target), tmp_path / "out", own)
    assert the_function(template)["MemorySize"] == expected


def test_the_package_names_a_memory_that_models_toml_and_the_context_replace(tmp_path: Path) -> None:
    named = build(tmp_path / "named", "onnx", packaged=1769)
    assert read_package(named, fake_build.ROOT / "handler").memory == 1769
    assert the_function(synthesized(named, tmp_path / "out", {}))["MemorySize"] == 1769
    assert the_function(synthesized(named, tmp_path / "told", {"memory": "2048"}))["MemorySize"] == 2048
    target = build(tmp_path / "target", "onnx", packaged=1769, memory=2560)
    assert read_package(target, fake_build.ROOT / "handler").memory == 2560


@pytest.mark.parametrize("packaged", ["1769", 511, 10_241, True, 1769.0])
def test_a_memory_that_no_function_may_have_is_a_damaged_package(tmp_path: Path, packaged: Any) -> None:
    with pytest.raises(PackageError, match=r"damaged \(its memory is .*: run `make package`"):
        read_package(build(tmp_path, "onnx", packaged=packaged), fake_build.ROOT / "handler")


@pytest.mark.parametrize(
    ("engine", "memory", "advised"),
    [("openvino", 1769, True), ("openvino", 2653, True), ("openvino", 2654, False), ("onnx", 1769, False)],
)
def test_synth_says_where_another_engine_starts_sooner(tmp_path: Path, engine: str, memory: int, advised: bool) -> None:
    package = read_package(build(tmp_path, engine), fake_build.ROOT / "handler")
    advice = engine_advice(package, StackSettings(memory=memory))
    assert (advice is not None) == advised
    assert advice is None or "set memory = " in advice
