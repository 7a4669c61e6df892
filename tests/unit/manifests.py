"""Manifests as the builder has them, of models that nobody built: what a test does not say is as here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from layer.bundle import manifest
from layer.bundle.records import BundleFile, Golden, Manifest, ModelEntry, Preprocess, Source, Tokenizer
from layer.spec import Target

COMMIT = "6b64cb704856bf47908fdd1273ea46d864d7794a"
TARGET = Target("3.13", "x86_64", "image")
SOURCE = Source("org/model", COMMIT, ["weights"], "apache-2.0")
MODEL = ModelEntry(
    id="org/model",
    slug="org--model",
    name="hf-hub:org/model",
    pretrained=None,
    engine="onnx",
    precision="int8",
    embed_dim=2,
    image_size=(8, 8),
    context_length=4,
    logit_scale=1.0,
    logit_bias=None,
    preprocess=Preprocess([0.5] * 3, [0.5] * 3, "bicubic", "shortest", 0),
    tokenizer=Tokenizer("simple", None, 4, "lower", False, None, 0),
    golden=Golden([], [], [], [], []),
    sources=[SOURCE],
)


def model(model_id: str, **changed: Any) -> ModelEntry:
    """Return a model under another name."""
    return replace(MODEL, id=model_id, slug=model_id.replace("/", "--"), name=f"hf-hub:{model_id}", **changed)


def manifest_of(models: Sequence[ModelEntry], files: Sequence[BundleFile], target: Target = TARGET) -> Manifest:
    """Return the manifest of a bundle of these models and files."""
    return Manifest(manifest.SCHEMA, "2026-11-26T18:40:26Z", target, {"torch": "2.13.0"}, list(models), list(files))
