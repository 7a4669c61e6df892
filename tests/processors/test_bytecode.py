"""A package made where the target's Python is missing holds the bytecode that this Python itself would have written."""

import os
import shutil
from pathlib import Path

import pytest

from layer.package import bytecode, interpreters
from layer.package.pipeline import package
from tests.conftest import build_demo
from tests.e2e.container import unzip
from tests.e2e.packages import retarget
from tests.processors.packages import compile_by_debian


def test_zips_made_without_python_3_13_hold_its_bytecode_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "find", lambda _: None)
    bundle = build_demo(tmp_path, "onnx", "int8")
    retarget(bundle, architecture="arm64", package="layer", python="3.13")
    made = [package(bundle, tmp_path / name, tmp_path / "cache") for name in ("first", "second")]

    dependencies = unzip([tmp_path / "first" / "layer-deps.zip"], tmp_path / "opt") / "python"
    handler = unzip([tmp_path / "first" / "function.zip"], tmp_path / "task") / "handler"
    found = compiled(dependencies, handler)
    for tree in (dependencies, handler):
        for folder in [*tree.rglob("__pycache__")]:
            shutil.rmtree(folder)
    compile_by_debian({"/opt/python": dependencies, "/var/task/handler": handler}, Path(bytecode.__file__))

    assert made[0].contract["artefacts"] == made[1].contract["artefacts"]  # their hashes, too
    assert not [note for note in made[0].notes if "bytecode" in note]
    assert len(found) > 300
    assert found == compiled(dependencies, handler)


def compiled(*trees: Path) -> dict[str, bytes]:
    return {os.path.relpath(path, tree): path.read_bytes() for tree in trees for path in tree.rglob("*.pyc")}
