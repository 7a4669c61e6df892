"""What names a bundle's vectors: all that they depend on, and nothing that they do not."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layer.bundle import build_cache, manifest, vectors
from layer.bundle.export_records import Export, Parity, TowerRecipe
from layer.bundle.records import Golden, ModelEntry
from layer.errors import VerifyError
from layer.naming import image_formats
from layer.sources.lock import LockedFile, LockedSource
from layer.spec import ModelSpec
from tests.unit import manifests

RECIPE = TowerRecipe("static int8", 1)
EXPORT = Export(True, None, True, RECIPE, RECIPE, Parity(0.9995, 0.9993, 16, 21))
MODEL = replace(manifests.MODEL, export=EXPORT)
FILE = LockedFile(7, "a" * 64)
SOURCE = LockedSource("org/model", None, manifests.COMMIT, ("weights",), "mit", {"model.safetensors": FILE})
OTHER_FILE = replace(SOURCE, files={"model.safetensors": LockedFile(7, "b" * 64)})


def named(model: ModelEntry = MODEL, source: LockedSource = SOURCE, samples: Path | None = None) -> str | None:
    return vectors.named(model, [source], samples).vectors_sha256


def of_export(**changed: Any) -> ModelEntry:
    return replace(MODEL, export=replace(EXPORT, **changed))


@pytest.mark.parametrize(
    "model",
    [
        replace(MODEL, golden=Golden(["a"], [[1]], ["x"], ["y"], ["z"])),  # its last digits are the machine's
        replace(MODEL, logit_scale=2.0),
        replace(MODEL, quality=[], host_blobs=[]),
        of_export(parity=Parity(0.9994, 0.9992, 17, 22)),
        of_export(image=replace(RECIPE, bf16_cosine=0.9995)),  # which hosts have bfloat16 differs in one deployment
    ],
)
def test_measured_figures_are_no_part_of_it(model: ModelEntry) -> None:
    assert named(model) == named()


@pytest.mark.parametrize(
    "source",
    [
        replace(SOURCE, asked="main", revision="0" * 40, license=None),
        replace(SOURCE, repo="mirror/model", as_found=("model.safetensors",)),
    ],
)
def test_where_the_same_files_came_from_is_no_part_of_it(source: LockedSource) -> None:
    assert named(source=source) == named()


@pytest.mark.parametrize(
    "model",
    [
        replace(MODEL, engine="openvino"),
        replace(MODEL, name="ViT-B-32-quickgelu"),  # of the same weights, with another GELU
        replace(MODEL, id="ours/clip"),  # an index is of one id
        replace(MODEL, context_length=5),
        replace(MODEL, precision="fp32"),
        replace(MODEL, jpeg_decoding="reduced"),
        replace(MODEL, preprocess=replace(MODEL.preprocess, interpolation="bilinear")),
        replace(MODEL, tokenizer=replace(MODEL.tokenizer, clean="canonicalize")),
        of_export(image=replace(RECIPE, recipe="per-token int8")),
        of_export(text=replace(RECIPE, activation_group=128)),
    ],
)
def test_what_changes_a_vector_changes_it(model: ModelEntry) -> None:
    assert named(model) != named()


def test_other_weights_change_it() -> None:
    assert named(source=OTHER_FILE) != named()


def test_own_samples_change_it_by_their_content(tmp_path: Path) -> None:
    """The ranges of int8 are measured on them."""
    for folder, name, content in (("one", "a.txt", "dog"), ("again", "b.txt", "dog"), ("other", "a.txt", "cat")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(content)
    assert named(samples=tmp_path / "one") != named()
    assert named(samples=tmp_path / "one") == named(samples=tmp_path / "again")
    assert named(samples=tmp_path / "one") != named(samples=tmp_path / "other")


@pytest.mark.parametrize(
    ("package", "version", "same"),
    [
        ("torch", "2.13.0+cpu", True),
        ("torch", "2.14.0", False),
        ("pillow", "14.0.0", False),
        ("huggingface_hub", "9.9", True),
    ],
)
def test_libraries_that_compute_count_and_their_builds_do_not(
    monkeypatch: pytest.MonkeyPatch, package: str, version: str, same: bool
) -> None:
    versions = dict.fromkeys(build_cache.LIBRARIES, "1.0") | {"torch": "2.13.0"}
    monkeypatch.setattr(vectors, "installed", versions.get)
    before = named()
    versions[package] = version
    assert (named() == before) is same


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        ("# Other words.\n\npillow-heif==1.8.1  # why\n", True),
        ("# Of HEIC.\npillow-heif==1.8.2\n", False),
        ("# Of HEIC.\npillow-heif==1.8.1\nlibheif==1.0\n", False),
    ],
)
def test_the_pin_of_the_decoder_that_ships_counts_and_its_comment_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str, same: bool
) -> None:
    """This machine need not have it, so no version that is installed here stands for it."""
    monkeypatch.setattr(build_cache, "REQUIREMENTS", tmp_path)
    found = []
    for text in ("# Of HEIC.\npillow-heif==1.8.1\n", lines):
        (tmp_path / "heic.txt").write_text(text)
        found.append((named(), build_cache.fingerprint(ModelSpec("ViT-B-32", "openai"), [SOURCE], None)))
    (name, kept), (later, kept_later) = found

    assert (name == later, kept == kept_later) == (same, same)


def test_every_decoder_that_ships_has_a_pin() -> None:
    assert len(build_cache.decoder_pins()) == len(image_formats.requirements(image_formats.DECODERS)) > 0
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in build_cache.decoder_pins())


def test_other_code_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = named()
    monkeypatch.setattr(build_cache, "code_digest", lambda: "0" * 64)
    assert named() != before


@pytest.mark.parametrize("wrong", ["../" * 21 + "x", "A" * 64, "0" * 63, ""])
def test_a_name_that_is_no_hash_is_refused(tmp_path: Path, wrong: str) -> None:
    """It becomes a part of paths."""
    manifest.write_facts(tmp_path, manifests.manifest_of([replace(MODEL, vectors_sha256=wrong)], []))
    with pytest.raises(VerifyError, match="is not a sha256"):
        manifest.read(tmp_path)
