"""Templates synthesized in this process: one jsii kernel for all of them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.infra import fake_build

Template = dict[str, Any]
Synth = Callable[..., Template]
# What CDK says is deprecated fails here: it would print a warning at each synth, and go with its next major release.
os.environ.setdefault("JSII_DEPRECATED", "fail")


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Builds by shape and architecture, each written once."""
    root = tmp_path_factory.mktemp("builds")

    def of(shape: str, architecture: str) -> Path:
        path = root / f"{shape}-{architecture}"
        return path if path.exists() else fake_build.write(path, shape, architecture)

    return of


@pytest.fixture
def synth(build_dir: Callable[[str, str], Path], tmp_path: Path) -> Synth:
    """Synthesize as app.py does, cdk-nag included; keyword arguments are context. Returns the template."""

    def run(shape: str = "image", architecture: str = "x86_64", out: str = "cdk.out", **context: Any) -> Template:
        return synthesized(build_dir(shape, architecture), tmp_path / out, context)

    return run


@pytest.fixture(scope="session")
def watched(build_dir: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The default template with a topic for its alarms, synthesized once; not to be changed."""
    context = {"alarm_topic_arn": "arn:aws:sns:eu-west-1:111122223333:alarms"}
    return synthesized(build_dir("image", "x86_64"), tmp_path_factory.mktemp("watched"), context)


def synthesized(build: Path, out: Path, context: dict[str, Any]) -> Template:
    """Synthesize a build as app.py does; returns the template."""
    from aws_cdk import App

    from infra.assembly import assemble

    app = App(context={"build_dir": str(build), **context}, outdir=str(out))
    stack = assemble(app)
    app.synth()
    template: Template = json.loads((out / f"{stack.stack_name}.template.json").read_text())
    return template


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    """The properties of a template's resources of one type."""
    return [item["Properties"] for item in template["Resources"].values() if item["Type"] == kind]


def the_function(template: Template) -> dict[str, Any]:
    """The embedding function among the deployment's own small ones."""
    described = resources(template, "AWS::Lambda::Function")
    (found,) = [item for item in described if item["Description"].startswith("OpenCLIP embeddings")]
    return found


def statements_of(template: Template) -> list[dict[str, Any]]:
    """The policy statements of the embedding function's role."""
    role = the_function(template)["Role"]["Fn::GetAtt"][0]
    policies = [item for item in resources(template, "AWS::IAM::Policy") if item["Roles"] == [{"Ref": role}]]
    assert "ManagedPolicyArns" not in template["Resources"][role]["Properties"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
