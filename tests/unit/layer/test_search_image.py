"""`package --with search`: a second image beside the package, whatever its shape. pip is replaced, all else is real."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra.package import NOT_SHIPPED, NOT_SHIPPED_FOR_SEARCH, tree_sha256
from infra.package import read_package as read_as_deployed
from layer.bundle import manifest
from layer.errors import PackageError
from layer.package import pip, pipeline, runtime, wheels
from layer.spec import PYTHONS, Target
from tests.unit.manifests import manifest_of, model

HANDLER = pipeline.HANDLER
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was installed, by the engines' names; each is a module in the tree, and a wheel."""
    done: list[list[str]] = []

    def install(engines: list[str], target: Target, tree: Path, index: str | None) -> runtime.Installed:
        tree.mkdir(parents=True)
        for engine in engines:
            (tree / f"{engine}.py").write_text("x = 1\n")
        done.append(list(engines))
        row = {"version": "1", "filename": "one-1.whl", "sha256": "0" * 64}
        return runtime.Installed({}, [{"name": engine, **row} for engine in engines])

    monkeypatch.setattr(runtime, "install", install)
    monkeypatch.setattr(wheels, "recorded", lambda *_: [])  # for the Python that runs this there may be none
    return done


def built(root: Path, shape: str) -> Path:
    """A build directory with a bundle of one model and no files."""
    (root / "bundle").mkdir(parents=True)
    manifest.write_facts(root / "bundle", manifest_of([model("a/b")], [], Target(PYTHON, "x86_64", shape)))
    return root


@pytest.mark.parametrize("shape", ["image", "layer"])
def test_it_holds_the_bundle_the_engine_the_index_and_all_of_the_handler(
    tmp_path: Path, installed: list[list[str]], shape: str
) -> None:
    build = built(tmp_path, shape)

    made = pipeline.package(build / "bundle", build, tmp_path / "cache", None, ["batch", "search"])

    assert installed == [["batch", "onnx"], ["onnx", "search"]]
    context = build / "search-image"
    assert {path.name for path in (context / "dependencies").iterdir()} == {"onnx.py", "search.py"}
    assert (context / "handler" / "search" / "app.py").is_file()
    assert not (context / "handler" / "serve").exists()
    assert (context / "bundle" / "manifest.json").read_bytes() == (build / "bundle" / "manifest.json").read_bytes()
    text = (context / "Dockerfile").read_text()
    assert 'CMD ["handler.search.app.lambda_handler"]' in text
    assert "handler.selfcheck && python3 -B -c 'import lancedb" in text.splitlines()[-1]
    main = [path for path in build.rglob("*") if "search-image" not in path.parts and "cache" not in path.parts]
    assert not [path for path in main if "search" in path.parts]  # no other package has it
    said = "\n".join(made.table)
    assert "search image:" in said


def test_package_json_and_a_list_of_its_own_name_what_is_in_it(tmp_path: Path, installed: list[list[str]]) -> None:
    build = built(tmp_path, "layer")
    pipeline.package(build / "bundle", build, tmp_path / "cache", None, ["search"])

    contract = json.loads((build / "package.json").read_text())
    (row,) = [one for one in contract["artefacts"] if one["role"] == "search"]
    assert row["path"] == "search-image"
    assert row["bytes"] == sum(path.stat().st_size for path in (build / row["path"]).rglob("*") if path.is_file())
    assert row["handler_sha256"] == tree_sha256(HANDLER, NOT_SHIPPED_FOR_SEARCH)
    assert contract["handler_sha256"] == tree_sha256(HANDLER, NOT_SHIPPED)
    assert row["base"]["image"] == f"public.ecr.aws/lambda/python:{PYTHON}"
    listed: Any = json.loads((build / row["sbom"]["path"]).read_text())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(listed)) is None
    named = {one["name"]: one for one in listed["components"]}
    assert {"onnx", "search", "handler", "public.ecr.aws/lambda/python"} <= set(named)
    files = {one["name"] for one in named["handler"]["components"]}
    assert "handler/search/app.py" in files
    ours: Any = json.loads((build / "sbom.cdx.json").read_text())
    others = {one["name"]: one for one in ours["components"]}
    assert "search" not in others
    assert not [one["name"] for one in others["handler"]["components"] if one["name"].startswith("handler/search/")]


def test_the_deployment_reads_it_and_refuses_one_of_another_handler(tmp_path: Path, installed: list[list[str]]) -> None:
    build = built(tmp_path, "image")
    pipeline.package(build / "bundle", build, tmp_path / "cache", None, ["search"])
    assert read_as_deployed(build, HANDLER).artifacts["search"] == build / "search-image"

    contract = json.loads((build / "package.json").read_text())
    contract["artefacts"][-1]["handler_sha256"] = "0" * 64
    (build / "package.json").write_text(json.dumps(contract))
    with pytest.raises(Exception, match="packaged: run `python -m layer package --with search`"):
        read_as_deployed(build, HANDLER)


def test_a_package_without_it_leaves_none_of_the_last_one_and_a_strangers_folder_stays(
    tmp_path: Path, installed: list[list[str]]
) -> None:
    build = built(tmp_path, "image")
    pipeline.package(build / "bundle", build, tmp_path / "cache", None, ["search"])
    pipeline.package(build / "bundle", build, tmp_path / "cache")
    assert not (build / "search-image").exists()
    assert not (build / "search-sbom.cdx.json").exists()

    (build / "package.json").unlink()
    (build / "search-image").mkdir()
    (build / "search-image" / "thesis.tex").write_text("x")
    with pytest.raises(PackageError, match="search-image is not of a package"):
        pipeline.package(build / "bundle", build, tmp_path / "cache", None, ["search"])


def test_every_python_and_architecture_has_a_wheel_of_all_that_the_index_needs() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (runtime.REQUIREMENTS / "search.txt").read_text(), re.MULTILINE))
    assert {"lancedb", "pyarrow"} <= set(pins)
    for python in PYTHONS:
        for architecture in pip.MACHINE:
            recorded = {
                one.name: one.version for one in wheels.read(wheels.path("search", Target(python, architecture)))
            }
            assert recorded == pins, (python, architecture)
