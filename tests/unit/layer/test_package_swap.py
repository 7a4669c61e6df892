"""What stands in `build/` when packaging fails, is killed, or changes shape. pip is replaced, all else is real."""

import hashlib
import json
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from layer.bundle import manifest
from layer.bundle.records import BundleFile
from layer.errors import PackageError, VerifyError
from layer.package import pip, pipeline, runtime, wheels
from layer.registry import lambda_limits
from layer.spec import Target
from tests.unit.manifests import manifest_of, model

WHEEL = {"name": "package", "version": "1", "filename": "package-1-py3-none-any.whl", "sha256": "0" * 64}
NAMES = ("text.bin", "package.py")
INSTALLED: list[list[str]] = []  # the engines of each installation


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def install(engines: list[str], target: dict[str, str], tree: Path, index: str | None) -> runtime.Installed:
        tree.mkdir(parents=True)
        (tree / "package.py").write_text("x = 1\n")
        INSTALLED.append(engines)
        return runtime.Installed({}, [WHEEL])

    monkeypatch.setattr(runtime, "install", install)
    monkeypatch.setattr(wheels, "recorded", lambda *_: [])  # for the Python that runs this there may be none
    root = tmp_path / "bundle"
    (root / "models").mkdir(parents=True)
    (root / "models" / "text.bin").write_bytes(b"weights")
    write_manifest(root, "image")
    return root


def write_manifest(bundle: Path, shape: str) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    files = [BundleFile("models/text.bin", 7, hashlib.sha256(b"weights").hexdigest())]
    manifest.write_facts(bundle, manifest_of([model("a/b")], files, Target(python, "x86_64", shape)))


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_no_file_lies_in_two_layers_whatever_is_named_alike(bundle: Path, tmp_path: Path) -> None:
    """Lambda unpacks all layers into /opt: of a file that is in two, the order of the layers would decide."""
    (bundle / "models" / "package.py").write_bytes(b"weights")  # as the dependencies have
    write_manifest(bundle, "layer")
    listed = [BundleFile(f"models/{name}", 7, hashlib.sha256(b"weights").hexdigest()) for name in NAMES]
    facts = manifest.read(bundle)
    manifest.write_facts(bundle, replace(facts, files=listed))

    contract = pipeline.package(bundle, tmp_path / "build", tmp_path / "cache").contract

    layers = contract["function"]["layers"]
    names = []
    for path in layers:
        with zipfile.ZipFile(tmp_path / "build" / path) as layer:
            names += [name.casefold() for name in layer.namelist()]
    assert {"layer.zip", "layer-deps.zip"} == set(layers)
    assert sum(name.endswith("/package.py") for name in names) == 2
    assert len(names) == len(set(names))


def test_a_package_that_does_not_fit_leaves_the_last_one_as_it_was(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")
    before = everything(tmp_path / "build")
    write_manifest(bundle, "layer")
    monkeypatch.setitem(lambda_limits.SHAPES, "layer", replace(lambda_limits.SHAPES["layer"], room=1000))

    with pytest.raises(PackageError, match="does not fit"):
        pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")

    assert everything(tmp_path / "build") == before


def test_a_bundle_that_was_changed_is_not_packaged(bundle: Path, tmp_path: Path) -> None:
    (bundle / "models" / "text.bin").write_bytes(b"weightz")

    with pytest.raises(VerifyError, match=r"models/text\.bin was changed"):
        pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")

    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("extras", [(), ("search",)])
def test_a_bundle_that_a_build_replaces_meanwhile_is_not_packaged(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extras: tuple[str, ...]
) -> None:
    """An installation takes minutes: sizes, engines and target would be those of the old bundle."""
    install = runtime.install

    def meanwhile(engines: list[str], target: Target, tree: Path, index: str | None) -> runtime.Installed:
        if "search" in engines or not extras:
            (bundle / "models" / "text.bin").write_bytes(b"WEIGHTS")
            files = [BundleFile("models/text.bin", 7, hashlib.sha256(b"WEIGHTS").hexdigest())]
            manifest.write_facts(bundle, replace(manifest.read(bundle), files=files))
        return install(engines, target, tree, index)

    monkeypatch.setattr(runtime, "install", meanwhile)

    with pytest.raises(PackageError, match=r"was changed while it was packaged: run `python -m layer package` again"):
        pipeline.package(bundle, tmp_path / "build", tmp_path / "cache", extras=extras)

    assert not (tmp_path / "build" / "package.json").exists()


def test_the_runtime_is_installed_again_only_where_it_would_be_another_one(bundle: Path, tmp_path: Path) -> None:
    INSTALLED.clear()
    for _ in range(2):
        pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")
    assert INSTALLED == [["onnx"]]

    [kept] = (tmp_path / "cache" / "runtime").rglob("package.py")
    kept.write_text("x = 2\n")
    pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")
    assert INSTALLED == [["onnx"], ["onnx"]]
    assert (tmp_path / "build" / "image" / "dependencies" / "package.py").read_text() == "x = 1\n"

    pipeline.package(bundle, tmp_path / "build", tmp_path / "cache", "https://download.example/cpu")
    assert len(INSTALLED) == 3
    assert len(list((tmp_path / "cache" / "runtime").iterdir())) == 1


def test_another_shape_leaves_nothing_of_the_last_one(bundle: Path, tmp_path: Path) -> None:
    pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")
    write_manifest(bundle, "layer")
    packaged = pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")

    names = {path.name for path in (tmp_path / "build").iterdir()}
    assert names == {"package.json", "sbom.cdx.json", "function.zip", "layer.zip", "layer-deps.zip"}
    assert packaged.notes == []
    contract = json.loads((tmp_path / "build" / "package.json").read_text())
    assert [(row["role"], row["path"]) for row in contract["artefacts"]] == [
        ("function", "function.zip"),
        ("models", "layer.zip"),
        ("dependencies", "layer-deps.zip"),
    ]
    assert contract["sbom"]["path"] == "sbom.cdx.json"
    for row in contract["artefacts"]:
        assert row["bytes"] == (tmp_path / "build" / row["path"]).stat().st_size


@pytest.mark.parametrize("done", range(5))
def test_a_swap_that_is_cut_off_leaves_no_package_that_claims_to_be_complete(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    pipeline.package(bundle, tmp_path / "build", tmp_path / "cache")
    shutil.copytree(tmp_path / "build", tmp_path / "staged")
    rename = Path.rename
    renamed: list[str] = []

    def killed(path: Path, target: Path) -> None:
        if len(renamed) == done:
            raise KeyboardInterrupt
        renamed.append(path.name)
        rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        pipeline._swap(tmp_path / "staged", tmp_path / "build")
    monkeypatch.undo()

    assert len(renamed) == done
    assert (tmp_path / "build" / "package.json").exists() == (done == 0)


def test_a_torch_with_cuda_is_refused_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "lib" / "libtorch_cuda.so").touch()
    monkeypatch.setattr(runtime, "install_pins", lambda *_: [])

    with pytest.raises(PackageError, match=r"torch with CUDA.*--torch-index-url"):
        runtime.install(["torch"], Target("3.13", "x86_64"), tmp_path, None)


def test_a_version_without_wheels_is_named_with_the_target(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"pip found no wheels for Python 3\.5 on aarch64"):
        pip.install(["--no-index", "nothing-of-this-name"], Target("3.5", "arm64"))
