"""Finished models: which of them the cache keeps."""

from dataclasses import replace
from pathlib import Path

import pytest

from layer.bundle import build_cache, manifest
from layer.spec import ModelSpec
from tests.unit import manifests

MODEL = ModelSpec("ViT-B-32", "laion2b_s34b_b79k", engine="onnx", precision="int8")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def store(cache: Path, model: ModelSpec, digest: str) -> None:
    bundle = cache.parent / "made"
    bundle.mkdir()
    manifest.write_facts(bundle, manifests.manifest_of([manifests.model("acme/clip")], []))
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


def test_what_an_earlier_release_kept_and_a_killed_store_left_is_removed(cache: Path) -> None:
    store(cache, MODEL, "1" * 64)
    [mine] = cache.glob("built/*/*")
    for name in ("3" * 64, f"{mine.name}.making", "onnx-int8-" + "4" * 64):
        (mine.parent / name).mkdir()
    store(cache, MODEL, "2" * 64)
    [left] = cache.glob("built/*/*")
    assert left.name.endswith("2" * 64)
