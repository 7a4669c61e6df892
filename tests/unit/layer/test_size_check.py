"""Packages held to AWS's limits: what is said of one that is too large, and what is only good to know."""

from dataclasses import replace

import pytest

from layer.bundle.records import BundleFile, Manifest
from layer.engines import ENGINES
from layer.errors import PackageError
from layer.package import size_check
from layer.registry import lambda_limits, sizes_page
from layer.spec import Target
from tests.unit.manifests import manifest_of, model

SIZES = {"handler": 300_000, "dependencies": 118_000_000}


def facts(shape: str, engine: str, precision: str, *sizes: int) -> Manifest:
    """A manifest as far as sizes go: one model for each size."""
    slugs = [f"m{number}" for number in range(len(sizes))]
    kind = "hub/models--a--b/snapshots/1" if engine == "torch" else engine
    files = [
        BundleFile(f"models/org--{slug}/{kind}/x", size, "0" * 64) for slug, size in zip(slugs, sizes, strict=True)
    ]
    models = [replace(model(f"org/{slug}", engine=engine, precision=precision), name="ViT-B-32") for slug in slugs]
    return manifest_of(models, files, Target("3.13", "x86_64", shape))


LARGE = facts("layer", "openvino", "fp32", 605_000_000, 9_000_000)


def test_a_layer_takes_262_144_000_bytes_and_not_one_more() -> None:
    room = 262_144_000 - sum(SIZES.values())  # AWS: "Unzipped size must be smaller than 262144000 bytes"

    size_check.check(facts("layer", "onnx", "int8", room), {**SIZES, "bundle": room})
    with pytest.raises(PackageError, match="does not fit: 262,144,001 bytes unzipped, Lambda takes 262,144,000"):
        size_check.check(facts("layer", "onnx", "int8", room + 1), {**SIZES, "bundle": room + 1})


def test_the_error_shows_every_part_and_what_would_fit() -> None:
    with pytest.raises(PackageError) as caught:
        size_check.check(LARGE, {**SIZES, "bundle": 614_000_000})

    said = str(caught.value)
    table = {tuple(line.rsplit(maxsplit=2)) for line in said.splitlines()}
    assert {("  dependencies", "118.0", "MB"), ("  org/m0 (openvino, fp32)", "605.0", "MB")} <= table
    assert "143.8 MB of models would fit" in said
    for fix in (
        'precision = "int8" for org/m0: 157 MB of weights',
        'engine = "onnx"',
        'package = "image"',
        "fewer models",
        "models --fits layer",
    ):
        assert fix in said


def test_an_image_that_is_too_large_does_not_suggest_an_image() -> None:
    with pytest.raises(PackageError) as caught:
        size_check.check(facts("image", "torch", "fp32", 12_000_000_000), {**SIZES, "bundle": 12_000_000_000})

    assert "an image beside its base" in str(caught.value)
    assert 'package = "image"' not in str(caught.value)
    assert 'engine = "onnx"' in str(caught.value)


def test_large_uploads_a_missing_python_and_copies_into_tmp_are_notes_not_errors() -> None:
    small = list(size_check.notes(facts("layer", "onnx", "int8", 9), {"layer.zip": 50_000_000}, uncompiled=None))
    large = list(
        size_check.notes(facts("layer", "torch", "fp32", 600_000_000), {"layer.zip": 50_000_001}, "no python3.13 here")
    )

    assert small == []
    for note, says in zip(
        large,
        ("layer.zip is over 50 MB", "no python3.13 here. So the zips hold no bytecode", "SnapStart allows 512"),
        strict=True,
    ):
        assert says in note


def test_room_is_counted_beside_the_code_of_every_engine_in_the_bundle() -> None:
    assert lambda_limits.room("layer", ["onnx"]) == 262_144_000 - ENGINES["onnx"].code_bytes
    assert lambda_limits.room("layer", ["onnx", "torch"]) < 0
    assert lambda_limits.shapes(lambda_limits.room("layer", ["onnx"])) == ["layer", "image"]
    assert lambda_limits.shapes(lambda_limits.room("layer", ["onnx"]) + 1) == ["image"]


def test_the_page_of_sizes_is_what_its_command_writes() -> None:
    assert sizes_page.PAGE.read_text(encoding="utf-8") == sizes_page.page(), "run `python -m layer.registry.sizes_page`"


@pytest.mark.parametrize("given", [facts("layer", "torch", "fp32", 9), facts("layer", "onnx", "int8", 262_144_001)])
def test_what_cannot_fit_is_refused_before_anything_is_installed(given: Manifest) -> None:
    with pytest.raises(PackageError, match="does not fit") as caught:
        size_check.refuse_beforehand(given)

    assert "models --fits layer" in str(caught.value)


def test_what_may_fit_is_installed_and_measured() -> None:
    size_check.refuse_beforehand(facts("layer", "onnx", "int8", 262_000_000))
    size_check.refuse_beforehand(facts("image", "torch", "fp32", 1_500_000_000))


def test_what_decoders_add_is_a_line_each() -> None:
    both = manifest_of([model("a/b")], [], Target("3.13", "x86_64", "layer", ("avif", "heic")))
    sizes = {"handler": 1_000_000, "dependencies": 150_000_000}
    table = size_check.size_table(both, sizes, {"avif": 5_000_000, "heic": 27_000_000})
    assert [line.split()[-2] for line in table[1:4]] == ["150.0", "5.0", "27.0"]
    assert "AVIF" in table[2]
    assert "HEIC" in table[3]
    with pytest.raises(PackageError, match='image_formats without "heic": 28 MB less'):
        size_check.check(both, {**sizes, "bundle": 120_000_000}, {"avif": 5_000_000, "heic": 27_000_000})
