"""What `sam deploy` puts behind the alias `live` of examples/sam, as the SAM CLI translates its template.

SAM publishes a version where the version's logical id is another, and the alias points to it: with an id that stays,
callers get what they got before. It needs no Docker engine.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.aws import ROOT
from tests.e2e.test_sam import run
from tests.e2e.test_sam_example import translate
from tests.infra import fake_build


def deployed(build: Path, *options: str, image: str | None = None) -> tuple[str, dict[str, Any]]:
    """The version that `live` points to, by its logical id, once the command's template is uploaded and translated."""
    run(ROOT / ".venv" / "bin" / "python", "examples/sam/template.py", "--build", build, *options)
    template = json.loads((build / "sam.json").read_text())
    for one in template["Resources"].values():  # as `sam deploy` uploads: by the hash of what is there
        for name in {"CodeUri", "ContentUri"} & set(one["Properties"]):
            path = build / one["Properties"][name]
            content = path.read_bytes() if path.is_file() else b"a directory"
            one["Properties"][name] = f"s3://uploads/{hashlib.md5(content).hexdigest()}"  # noqa: S324 - SAM's own
    if image:
        template["Resources"]["Function"]["Properties"]["ImageUri"] = image
    (build / "uploaded.json").write_text(json.dumps(template))
    made = translate(build / "uploaded.json")["Resources"]
    [alias] = [one["Properties"] for one in made.values() if one["Type"] == "AWS::Lambda::Alias"]
    [version, _] = alias["FunctionVersion"]["Fn::GetAtt"]
    return version, made[version]


def with_package(build: Path, changed: dict[str, Any]) -> Path:
    path = build / "package.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    return build


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return fake_build.write(tmp_path / "build", "layer", extras=())


@pytest.mark.parametrize("name", ["layer.zip", "layer-deps.zip", "function.zip"])
def test_another_model_dependency_or_handler_goes_live(build: Path, name: str) -> None:
    before, _ = deployed(build)
    (build / name).write_bytes(b"another")

    assert deployed(build)[0] != before


def test_another_memory_environment_and_snap_start_go_live(build: Path) -> None:
    function = json.loads((build / "package.json").read_text())["function"]
    found = [deployed(build)[0], deployed(build, "--memory", "2048")[0], deployed(build, "--no-snap-start")[0]]
    variables = {**function["environment"], "OPENCLIP_MAX_ITEMS": "8"}
    found.append(deployed(with_package(build, {"function": {**function, "environment": variables}}))[0])
    found.append(deployed(with_package(build, {"memory": 4096}))[0])

    assert len(set(found)) == 5


def test_what_is_deployed_again_unchanged_publishes_nothing(build: Path) -> None:  # Lambda has no version to give then
    assert deployed(build)[0] == deployed(build)[0]


def test_another_image_goes_live_and_the_same_one_publishes_nothing(tmp_path: Path) -> None:
    build = fake_build.write(tmp_path / "build", extras=())
    found = [deployed(build, image=f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/openclip:{tag}")[0] for tag in "aba"]

    assert found[0] == found[2] != found[1]


def test_a_version_that_is_replaced_goes(build: Path) -> None:  # its snapshot is paid for as long as it is there
    assert deployed(build)[1]["DeletionPolicy"] == "Delete"
