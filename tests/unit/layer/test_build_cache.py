"""Finished models: which of them the cache keeps."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from layer.bundle import build_cache, manifest
from layer.bundle.records import BundleFile
from layer.spec import ModelSpec
from tests.unit import manifests

MODEL = ModelSpec("ViT-B-32", "laion2b_s34b_b79k", engine="onnx", precision="int8")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def store(cache: Path, model: ModelSpec, digest: str) -> None:
    bundle = cache.parent / "made"
    bundle.mkdir()
    (bundle / "tower.onnx").write_bytes(b"weights")
    files = [BundleFile("tower.onnx", 7, hashlib.sha256(b"weights").hexdigest())]
    manifest.write_facts(bundle, manifests.manifest_of([manifests.model("acme/clip")], files))
    build_cache.store(cache, model, digest, bundle, {"models": []})


def kept(cache: Path, model: ModelSpec, digest: str) -> bool:
    return build_cache.find(cache, model, digest) is not None


def test_the_last_one_of_each_engine_and_precision_is_kept(cache: Path) -> None:
    others = [replace(MODEL, engine="openvino"), replace(MODEL, precision="fp32")]
    for model in (MODEL, *others):
        store(cache, model, "1" * 64)
    store(cache, MODEL, "2" * 64)
    assert [kept(cache, model, "1" * 64) for model in (MODEL, *others)] == [False, True, True]
    assert kept(cache, MODEL, "2" * 64)


def later(path: Path) -> None:
    path.write_bytes(b"Weights")
    os.utime(path, ns=(0, (path.parent / manifest.NAME).stat().st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: (bundle / "tower.onnx").unlink(),
        lambda bundle: (bundle / "tower.onnx").write_bytes(b"weight"),
        lambda bundle: later(bundle / "tower.onnx"),
        lambda bundle: (bundle / "another").touch(),
        lambda bundle: (bundle / manifest.NAME).unlink(),
        lambda bundle: (bundle / manifest.NAME).write_text("{}"),
        lambda bundle: (bundle.parent / "report.json").write_text("{"),
    ],
    ids=["removed", "shorter", "of the same size", "added", "no manifest", "another manifest", "half a report"],
)
def test_a_kept_model_that_was_changed_is_made_again(cache: Path, change: Callable[[Path], object]) -> None:
    store(cache, MODEL, "1" * 64)
    assert kept(cache, MODEL, "1" * 64)
    [bundle] = cache.glob("built/*/*/bundle")
    change(bundle)
    assert not kept(cache, MODEL, "1" * 64)


def test_what_an_earlier_release_kept_and_a_killed_store_left_is_removed(cache: Path) -> None:
    store(cache, MODEL, "1" * 64)
    [mine] = cache.glob("built/*/*")
    for name in ("3" * 64, f"{mine.name}.making", "onnx-int8-" + "4" * 64):
        (mine.parent / name).mkdir()
    store(cache, MODEL, "2" * 64)
    [left] = cache.glob("built/*/*")
    assert left.name.endswith("2" * 64)
