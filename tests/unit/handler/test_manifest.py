"""What a start finds wrong with a bundle, and how it says so."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from handler import manifest
from handler.errors import BundleError, ModelNotFoundError

MODEL: dict[str, Any] = {
    "id": "org/a",
    "slug": "org--a",
    "name": "hf-hub:org/a",
    "pretrained": None,
    "engine": "torch",
    "precision": "fp32",
    "embed_dim": 2,
    "image_size": [8, 8],
    "context_length": 4,
    "logit_scale": 1.0,
    "logit_bias": None,
    "preprocess": {},
    "tokenizer": {},
    "sources": [],
    "golden": {"texts": [], "token_ids": [], "text_embeddings": [], "images": [], "image_embeddings": []},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    content = b"weights"
    (tmp_path / "weights").write_bytes(content)
    write(
        tmp_path,
        {
            "schema": 3,
            "versions": {},
            "models": [MODEL, {**MODEL, "id": "org/b"}],
            "files": [{"path": "weights", "size": 7, "sha256": hashlib.sha256(content).hexdigest()}],
        },
    )
    return tmp_path


def write(bundle: Path, data: object) -> None:
    (bundle / "manifest.json").write_text(json.dumps(data))


def test_a_complete_bundle_loads_and_is_named_by_the_digest_of_its_manifest(bundle: Path) -> None:
    loaded = manifest.load(bundle)

    assert loaded.sha256 == hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert loaded.models[0].image_size == (8, 8)
    assert list(manifest.changed_files(loaded)) == []


def test_vectors_have_the_name_that_the_builder_gave_them(bundle: Path) -> None:
    before = manifest.load(bundle)
    assert before.vectors_sha256() == before.sha256, "of a builder that gave none"
    data = json.loads((bundle / "manifest.json").read_text())
    for model, name in zip(data["models"], ("ab" * 32, "cd" * 32), strict=True):
        model["vectors_sha256"] = name
    write(bundle, data)
    first = manifest.load(bundle)
    write(bundle, {**data, "created_at": "2026-11-30T08:00:00Z"})
    again = manifest.load(bundle)
    assert first.sha256 != again.sha256
    for one in (first, again):
        assert (one.vectors_sha256(), one.vectors_sha256(model_id="org/b")) == ("ab" * 32, "cd" * 32)
    assert first.vectors_sha256("gray") == again.vectors_sha256("gray") != first.vectors_sha256("blue")


@pytest.mark.parametrize("name", ["AB" * 32, "ab" * 31, "../" * 21 + "x", 7, ["ab" * 32]])
def test_a_name_of_vectors_that_is_no_hash_is_damage(bundle: Path, name: object) -> None:
    data = json.loads((bundle / "manifest.json").read_text())
    data["models"][1]["vectors_sha256"] = name
    write(bundle, data)
    with pytest.raises(BundleError, match=r"damaged.*python -m layer build"):
        manifest.load(bundle)


def test_keys_of_a_later_builder_are_ignored(bundle: Path) -> None:
    data = json.loads((bundle / "manifest.json").read_text())
    data["note"] = "new"
    data["files"][0]["mode"] = 0o644
    for model in data["models"]:
        model["license"] = "mit"
        model["golden"]["videos"] = []
    write(bundle, data)

    assert [entry.id for entry in manifest.load(bundle).models] == ["org/a", "org/b"]


def test_a_model_is_found_by_id_and_the_first_is_the_default(bundle: Path) -> None:
    loaded = manifest.load(bundle)

    assert (loaded.model("org/b").id, loaded.model(None).id) == ("org/b", "org/a")
    with pytest.raises(ModelNotFoundError, match="this bundle has org/a, org/b"):
        loaded.model("")


def test_a_missing_bundle_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest.json cannot be read .*python -m layer build"):
        manifest.load(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": 3}', '"text"', "\xff"])
def test_a_damaged_manifest_is_an_error_with_a_fix(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content, encoding="latin-1")

    with pytest.raises(BundleError, match=r"is damaged .*build the bundle again"):
        manifest.load(tmp_path)


def test_another_schema_is_refused_by_number(tmp_path: Path) -> None:
    write(tmp_path, {"schema": 99})

    with pytest.raises(BundleError, match="has schema 99, this handler reads 3"):
        manifest.load(tmp_path)


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "weights").unlink()

    with pytest.raises(BundleError, match="weights is missing from"):
        manifest.load(bundle)


def test_a_cut_file_is_named_with_both_sizes_without_hashing(bundle: Path) -> None:
    (bundle / "weights").write_bytes(b"weigh")

    with pytest.raises(BundleError, match="weights has 5 bytes, built were 7"):
        manifest.load(bundle)


def test_a_file_changed_after_the_build_is_named_with_its_hash(bundle: Path) -> None:
    loaded = manifest.load(bundle)
    (bundle / "weights").write_bytes(b"WEIGHTS")

    found = hashlib.sha256(b"WEIGHTS").hexdigest()
    assert f"weights has sha256 {found}" in next(manifest.changed_files(loaded))


@pytest.mark.parametrize(
    "path",
    ["../outside", "/etc/passwd", "a/../../outside", "a\\..\\b", "a//b", "./weights", "", "a/", "weights\0", 7],
)
def test_a_path_that_leads_out_of_the_bundle_is_damage(bundle: Path, path: object) -> None:
    data = json.loads((bundle / "manifest.json").read_text())
    data["files"][0]["path"] = path
    (bundle.parent / "outside").write_bytes(b"weights")
    write(bundle, data)

    with pytest.raises(BundleError, match=r"manifest\.json is damaged .*build the bundle again"):
        manifest.load(bundle)


@pytest.mark.parametrize("slug", ["../../etc", "/etc", "a/b", "..", "", "a\\b", "a\0b", None, 3, ["x"]])
def test_a_models_directory_is_one_name(bundle: Path, slug: object) -> None:
    data = json.loads((bundle / "manifest.json").read_text())
    data["models"][0]["slug"] = slug
    write(bundle, data)

    with pytest.raises(BundleError, match=r"manifest\.json is damaged"):
        manifest.load(bundle)


def test_a_manifest_nested_without_end_is_damage(bundle: Path) -> None:
    (bundle / "manifest.json").write_text("[" * 100_000)

    with pytest.raises(BundleError, match=r"manifest\.json is damaged"):
        manifest.load(bundle)
