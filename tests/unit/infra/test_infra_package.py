"""A package that is missing, or of something else than what lies here, is refused with the command that fixes it."""

import json
from pathlib import Path

import pytest

from infra.errors import PackageError
from infra.package import read_package, tree_sha256
from tests.infra import fake_build

HANDLER = fake_build.ROOT / "handler"


def test_a_package_says_where_its_artifacts_are(tmp_path: Path) -> None:
    package = read_package(fake_build.write(tmp_path, "layer", "arm64", "3.14"), HANDLER)

    assert (package.shape, package.architecture, package.python) == ("layer", "arm64", "3.14")
    assert package.artifacts["models"] == tmp_path / "layer.zip"


def test_without_a_bundle_the_error_names_both_commands(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="holds no bundle: run `make build`, then `make package`"):
        read_package(tmp_path, HANDLER)


def test_without_a_package_the_error_names_the_command(tmp_path: Path) -> None:
    (fake_build.write(tmp_path) / "package.json").unlink()

    with pytest.raises(PackageError, match="nothing to deploy: run `make package`"):
        read_package(tmp_path, HANDLER)


def test_a_bundle_built_since_makes_the_package_stale(tmp_path: Path) -> None:
    manifest = fake_build.write(tmp_path) / "bundle" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("2026-11-23", "2026-11-24"))

    with pytest.raises(PackageError, match=r"is of another bundle than .*: run `python -m layer package --with batch"):
        read_package(tmp_path, HANDLER)


def test_a_handler_changed_since_makes_the_package_stale(tmp_path: Path) -> None:
    (tmp_path / "handler").mkdir()
    (tmp_path / "handler" / "app.py").write_text("")

    with pytest.raises(PackageError, match="packaged: run `python -m layer package --with batch --with search`"):
        read_package(fake_build.write(tmp_path / "build"), tmp_path / "handler")


def test_bytecode_does_not_change_a_handlers_digest_but_a_name_and_a_byte_do(tmp_path: Path) -> None:
    source = tmp_path / "handler" / "app.py"
    (source.parent / "__pycache__").mkdir(parents=True)
    source.write_text("a = 1\n")
    before = tree_sha256(source.parent)
    # sha256 of b"handler/app.py\0" + sha256 of b"a = 1\n" in hex + b"\n", from coreutils' sha256sum
    assert before == "1b45e93de14004f1d6739e740597baabc7bdcee53f3c6e61da5435d8e1c50806"
    (source.parent / "__pycache__" / "app.cpython-313.pyc").write_bytes(b"\0")

    assert tree_sha256(source.parent) == before
    source.rename(source.with_name("application.py"))
    assert tree_sha256(source.parent) != before


def test_an_artifact_of_another_size_is_refused(tmp_path: Path) -> None:
    (fake_build.write(tmp_path, "layer") / "layer.zip").write_bytes(b"half")

    with pytest.raises(PackageError, match=r"layer.zip is missing, or not of [\d,]+ bytes .*: run `make package`"):
        read_package(tmp_path, HANDLER)


@pytest.mark.parametrize("content", ["{", '{"schema": 3}'])
def test_a_package_that_cannot_be_read_is_refused(tmp_path: Path, content: str) -> None:
    (fake_build.write(tmp_path) / "package.json").write_text(content)

    with pytest.raises(PackageError, match="run `make package`"):
        read_package(tmp_path, HANDLER)


def test_a_package_of_the_other_shape_is_refused(tmp_path: Path) -> None:
    path = fake_build.write(tmp_path) / "package.json"
    package = json.loads(path.read_text())
    path.write_text(json.dumps({**package, "artefacts": []}))

    with pytest.raises(PackageError, match=r"has no image: run `make package`"):
        read_package(tmp_path, HANDLER)


@pytest.mark.parametrize("path", ["../../etc", "/etc/passwd", "a/b.zip", "..", ".", "", "a b", "x\n", "-x.zip"])
def test_an_artifact_that_does_not_lie_beside_package_json_is_refused(tmp_path: Path, path: object) -> None:
    build = fake_build.write(tmp_path)
    package = json.loads((build / "package.json").read_text())
    package["artefacts"][0]["path"] = path
    (build / "package.json").write_text(json.dumps(package))

    with pytest.raises(PackageError, match="which is not a file or directory beside it: run `make package`"):
        read_package(build, HANDLER)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bundle/manifest.json", "[" * 100_000),
        ("bundle/manifest.json", "{}"),
        ("bundle/manifest.json", "[]"),
        (
            "bundle/manifest.json",
            '{"target": {"python": "3\\nRUN x", "package": "image", "architecture": "arm64"}}',
        ),
        ("bundle/manifest.json", '{"target": {"python": "3.13", "package": "zip", "architecture": "x86_64"}}'),
        (
            "bundle/manifest.json",
            '{"target": {"python": "3.13", "package": "image", "architecture": "arm64"},'
            ' "models": [{"embed_dim": 2, "engine": "onnx", "vectors_sha256": "../x"}]}',
        ),
        ("package.json", "[]"),
        ("package.json", "[" * 100_000),
        ("package.json", '{"schema": 1, "artefacts": 7}'),
        ("package.json", '{"schema": 1, "artefacts": []}'),
        (
            "package.json",
            '{"schema": 1, "manifest_sha256": "", "handler_sha256": "", "artefacts": [{"role": 1}]}',
        ),
    ],
)
def test_a_contract_of_another_kind_is_refused_with_the_command(tmp_path: Path, name: str, text: str) -> None:
    build = fake_build.write(tmp_path)
    (build / name).write_text(text)

    with pytest.raises(PackageError, match=r"run `make (build|package)`"):
        read_package(build, HANDLER)
