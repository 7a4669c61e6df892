"""Every combination synthesizes, passes cdk-nag, and says of Lambda and API Gateway what was asked for."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure.stack import SETTINGS
from infra.function import HELPERS
from tests.infra import fake_build
from tests.infra.conftest import Synth, resources, synthesized, the_function

AUTH: dict[str, dict[str, Any]] = {
    "api_key": {},
    "iam": {},
    "jwt": {"jwt_issuer": "https://issuer.example", "jwt_audience": "embeddings"},
    "none": {},
}
# What CloudFormation's AWS::ApiGatewayV2::Route calls each, and its authorizer's type.
ROUTE_AUTH = {"api_key": ("CUSTOM", "REQUEST"), "iam": ("AWS_IAM", None), "jwt": ("JWT", "JWT"), "none": ("NONE", None)}
COMBINATIONS = list(itertools.product(("image", "layer"), AUTH, ("x86_64", "arm64"), (True, False)))


@pytest.mark.parametrize(("shape", "auth", "architecture", "snap_start"), COMBINATIONS)
def test_every_combination_synthesises_and_passes_cdk_nag(
    synth: Synth, shape: str, auth: str, architecture: str, snap_start: bool
) -> None:
    template = synth(shape, architecture, auth=auth, snap_start=snap_start, **AUTH[auth])

    function = the_function(template)
    assert function["PackageType" if shape == "image" else "Runtime"] == ("Image" if shape == "image" else "python3.13")
    assert function["Architectures"] == [architecture]
    assert function.get("SnapStart") == ({"ApplyOn": "PublishedVersions"} if snap_start else None)
    kind, authorizer = ROUTE_AUTH[auth]
    routes = {route["RouteKey"]: route for route in resources(template, "AWS::ApiGatewayV2::Route")}
    opened = itertools.product(("GET", "HEAD"), ("/", "/docs", "/openapi.json"))  # by a browser
    pages = [routes.pop(f"{method} {path}") for method, path in opened]
    assert {page["AuthorizationType"] for page in pages} == {"NONE"}
    assert {route["AuthorizationType"] for route in routes.values()} == {kind}
    found = {item["AuthorizerType"] for item in resources(template, "AWS::ApiGatewayV2::Authorizer")}
    assert found == ({authorizer} if authorizer else set())


def test_a_violation_of_cdk_nag_fails_the_synth(synth: Synth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.auth.acknowledge", lambda *_: None)

    with pytest.raises(RuntimeError, match="AwsSolutions-SMG4"):
        synth()


def test_the_same_input_gives_the_same_template(synth: Synth) -> None:
    assert synth(out="first") == synth(out="second")


def test_what_python_leaves_beside_a_small_function_is_no_part_of_it(
    synth: Synth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests import them, and a deployment after `make test` is not to replace three functions."""
    for name in ("clean", "used"):
        shutil.copytree(HELPERS, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        if name == "used":
            for folder in (tmp_path / name).iterdir():
                (folder / "__pycache__").mkdir()
                (folder / "__pycache__" / "index.cpython-313.pyc").write_bytes(b"bytecode")
    templates = []
    for name in ("clean", "used"):
        monkeypatch.setattr("infra.function.HELPERS", tmp_path / name)
        templates.append(synth(out=f"of-{name}", batch_source="photos"))
    assert templates[0] == templates[1]


def test_a_layer_that_changes_alone_is_a_new_version(tmp_path: Path) -> None:
    """Or the alias would stay on the one with the layers of before. Whatever the context of cdk.json lacks."""
    build, versions = fake_build.write(tmp_path / "build", "layer"), set[str]()
    for libraries in (b"of before", b"of today!"):
        (build / "layer-deps.zip").write_bytes(libraries)
        package = json.loads((build / "package.json").read_text())
        for row in package["artefacts"]:
            row["bytes"] = (build / row["path"]).stat().st_size if row["path"] == "layer-deps.zip" else row["bytes"]
        (build / "package.json").write_text(json.dumps(package))
        made = synthesized(build, tmp_path / libraries.decode(), {})["Resources"]
        versions |= {name for name, one in made.items() if one["Type"] == "AWS::Lambda::Version"}
    assert len(versions) == 2


def uploads(assets: Path) -> list[str]:
    """The names of what CDK uploads for a stack."""
    found = json.loads(assets.read_text())
    rows = [asset for kind in ("files", "dockerImages") for asset in found[kind].values()]
    places = [place for asset in rows for place in asset["destinations"].values()]
    return [place.get("objectKey") or place["imageTag"] for place in places]


def test_the_uploads_of_every_stack_are_named_after_the_first(synth: Synth, tmp_path: Path) -> None:
    synth(stack_name="mine", asset_prefix="mine", batch_source="photos", search="s3vectors")

    stacks = sorted((tmp_path / "cdk.out").glob("*.assets.json"))
    assert [path.name for path in stacks] == ["mine-vectors.assets.json", "mine.assets.json"]
    names = [name for path in stacks for name in uploads(path)]
    assert [name for name in names if not name.startswith(("mine/", "mine-"))] == []


@pytest.mark.parametrize("shape", ["image", "layer"])
def test_a_measured_stack_keeps_nothing_and_its_uploads_are_named_after_it(
    synth: Synth, tmp_path: Path, shape: str
) -> None:
    template = synth(shape, stack_name="mine", asset_prefix="mine", **SETTINGS)

    names = uploads(tmp_path / "cdk.out" / "mine.assets.json")
    assert len(names) >= 3
    assert [name for name in names if not name.startswith(("mine/", "mine-"))] == []
    kept = {name: item for name, item in template["Resources"].items() if "Retain" in str(item.get("DeletionPolicy"))}
    assert kept == {}
    assert resources(template, "AWS::SecretsManager::Secret") == []
