"""examples/terraform by Terraform itself, with a stand-in for AWS behind it: what it makes is what CDK's stack makes.

Terraform checks the configuration against the real provider's schema and evaluates it; see terraform/stand_in.py. No
AWS account has seen it.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.documents import marked
from tests.infra import fake_build
from tests.infra.conftest import Template, resources, synthesized, the_function
from tests.infra.terraform.state import State, resolved

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build" / "terraform" / "bin" / "python"
Folder = Path


def folder(root: Path) -> Folder:
    """Copy what the configuration consists of, where Terraform may write beside it."""
    shutil.copytree(ROOT / "examples" / "terraform", root / "examples" / "terraform")
    shutil.copytree(ROOT / "infra" / "functions", root / "infra" / "functions")
    return root / "examples" / "terraform"


def terraform(configuration: Folder, build: Path, **variables: str) -> dict[str, Any]:
    """Apply; returns the state, or the error."""
    assert PYTHON.exists(), "run `make build/terraform/.installed`"
    given = [f"-var={name}={value}" for name, value in {"build": str(build), **variables}.items()]
    run = subprocess.run(
        [str(PYTHON), "-m", "tests.infra.terraform.apply", str(configuration), *given],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module")
def applied(build_dir: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> State:
    return State(terraform(folder(tmp_path_factory.mktemp("terraform")), build_dir("layer", "x86_64")))


@pytest.fixture(scope="module")
def cdk(build_dir: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Template:
    """CDK's template of the same package; not to be changed."""
    return synthesized(build_dir("layer", "x86_64"), tmp_path_factory.mktemp("cdk") / "cdk.out", {})


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_the_function_is_configured_as_cdk_configures_it(applied: State, cdk: Template) -> None:
    wanted = the_function(cdk)
    made = applied.as_template("aws_lambda_function.openclip")

    for name in set(wanted) - {"Code", "Role", "Layers", "LoggingConfig"}:
        assert made[name] == wanted[name], name
    assert made["LoggingConfig"] == {**wanted["LoggingConfig"], "LogGroup": "/openclip/function"}
    assert made["PackageType"] == "Zip"
    assert applied.made["aws_lambda_function.openclip"]["publish"]  # SnapStart is of versions alone
    assert applied.made["aws_lambda_alias.live"]["function_version"] == "<aws_lambda_function openclip version>"


def test_the_layers_are_those_of_the_package_in_its_order(applied: State, cdk: Template) -> None:
    layers = [cdk["Resources"][one["Ref"]]["Properties"] for one in the_function(cdk)["Layers"]]
    # CDK orders them by their names, and the package as Lambda unpacks them. No file is in both
    # (tests/unit/layer/test_package_swap.py).
    order = sorted(layers, key=lambda one: one["Description"].startswith("OpenCLIP dependencies"))
    arns = {values["arn"]: values for values in applied.all("aws_lambda_layer_version")}
    made = [arns[arn] for arn in applied.made["aws_lambda_function.openclip"]["layers"]]

    for ours, theirs in zip(made, order, strict=True):
        assert ours["description"] == theirs["Description"]
        assert ours["compatible_runtimes"] == theirs["CompatibleRuntimes"]
        assert ours["compatible_architectures"] == theirs["CompatibleArchitectures"]
    [bucket] = applied.all("aws_s3_bucket_public_access_block")
    assert {bucket[name] for name in bucket if name.startswith(("block_", "ignore_", "restrict_"))} == {True}


def test_the_authorizer_is_cdks(applied: State, cdk: Template) -> None:
    [wanted] = [one for one in resources(cdk, "AWS::Lambda::Function") if one["Description"].startswith("Compares")]
    made = applied.as_template("aws_lambda_function.authorizer")

    for name in set(wanted) - {"Code", "Role", "Environment", "LoggingConfig"}:
        assert made[name] == wanted[name], name
    variables = wanted["Environment"]["Variables"]
    assert made["Environment"]["Variables"] == {
        **variables,
        "SECRET_ARN": applied.made["aws_secretsmanager_secret.key"]["arn"],
    }


def policies(template: Template, role_of: dict[str, Any]) -> list[dict[str, Any]]:
    role = role_of["Role"]["Fn::GetAtt"][0]
    mine = [one for one in resources(template, "AWS::IAM::Policy") if one["Roles"] == [{"Ref": role}]]
    return [resolved(template, one) for policy in mine for one in policy["PolicyDocument"]["Statement"]]


@pytest.mark.parametrize("name", ["function", "authorizer"])
def test_a_role_may_do_what_cdks_may_and_nothing_else(applied: State, cdk: Template, name: str) -> None:
    start = {"function": "OpenCLIP embeddings", "authorizer": "Compares"}[name]
    [wanted] = [one for one in resources(cdk, "AWS::Lambda::Function") if one["Description"].startswith(start)]
    may = [
        one
        for one in policies(cdk, wanted)
        if not set(listed(one["Action"])) & {"sqs:SendMessage", "kms:GenerateDataKey"}
    ]
    made = statements(applied.made[f"aws_iam_role_policy.{name}"]["policy"])

    assert [(one["Action"], one["Effect"]) for one in made] == [(one["Action"], one["Effect"]) for one in may]
    for ours, theirs in zip(made, may, strict=True):
        assert ours.get("Condition") == theirs.get("Condition")
        assert (ours["Resource"] == "*") == (theirs["Resource"] == "*")
        if ours["Resource"] != "*":  # one resource of this configuration
            assert re.fullmatch(r"<aws_\w+ \S+ arn>(:\*)?", ours["Resource"])
    assume = json.loads(applied.made[f"aws_iam_role.{name}"]["assume_role_policy"])
    assert assume == cdk["Resources"][wanted["Role"]["Fn::GetAtt"][0]]["Properties"]["AssumeRolePolicyDocument"]


def listed(action: str | list[str]) -> list[str]:
    return action if isinstance(action, list) else [action]


def test_no_route_is_open_and_each_is_one_of_cdks(applied: State, cdk: Template) -> None:
    theirs = {one["RouteKey"] for one in resources(cdk, "AWS::ApiGatewayV2::Route")}
    routes = applied.all("aws_apigatewayv2_route")
    authorizer = applied.made["aws_apigatewayv2_authorizer.key"]["id"]

    assert {(one["authorization_type"], one["authorizer_id"]) for one in routes} == {("CUSTOM", authorizer)}
    assert {one["route_key"] for one in routes} <= theirs
    assert "POST /v1/embeddings" in {one["route_key"] for one in routes}


def test_the_gateway_asks_for_the_key_and_throttles_as_cdks(applied: State, cdk: Template) -> None:
    wanted, _ = resources(cdk, "AWS::ApiGatewayV2::Authorizer")  # the other has the key in the path
    made = applied.as_template("aws_apigatewayv2_authorizer.key")
    sources = {"IdentitySource": made.pop("IdentitySources")}
    for name in set(wanted) - {"ApiId", "AuthorizerUri"}:
        assert {**made, **sources}[name] == wanted[name], name

    [stage] = resources(cdk, "AWS::ApiGatewayV2::Stage")
    ours = applied.as_template("aws_apigatewayv2_stage.default")
    assert ours["DefaultRouteSettings"].items() >= stage["DefaultRouteSettings"].items()
    assert json.loads(ours["AccessLogSettings"]["Format"]) == json.loads(stage["AccessLogSettings"]["Format"])
    assert (ours["Name"], ours["AutoDeploy"]) == (stage["StageName"], stage["AutoDeploy"])
    [integration] = resources(cdk, "AWS::ApiGatewayV2::Integration")
    live = applied.made["aws_apigatewayv2_integration.live"]
    assert live["integration_uri"] == "<aws_lambda_alias live invoke_arn>"
    assert (live["timeout_milliseconds"], live["payload_format_version"]) == (
        integration["TimeoutInMillis"],
        integration["PayloadFormatVersion"],
    )


def test_only_this_api_may_invoke(applied: State) -> None:
    arn = applied.made["aws_apigatewayv2_api.this"]["execution_arn"]
    permissions = applied.all("aws_lambda_permission")
    assert {one["principal"] for one in permissions} == {"apigateway.amazonaws.com"}
    assert all(one["source_arn"].startswith(f"{arn}/") for one in permissions)
    assert applied.made["aws_lambda_permission.live"]["qualifier"] == "live"


def test_logs_and_the_key_are_encrypted_and_no_state_holds_the_key(applied: State, cdk: Template) -> None:
    [key] = resources(cdk, "AWS::KMS::Key")
    made = applied.made["aws_kms_key.this"]
    assert made["enable_key_rotation"] == key["EnableKeyRotation"]
    assert statements(made["policy"]) == resolved(cdk, key["KeyPolicy"]["Statement"])[:2]
    groups = applied.all("aws_cloudwatch_log_group")
    assert len(groups) == len(resources(cdk, "AWS::Logs::LogGroup"))
    assert {(one["kms_key_id"], one["retention_in_days"]) for one in groups} == {(made["arn"], 30)}
    [access] = [one["name"] for one in groups if one["name"].endswith("/access")]
    assert access.startswith("/aws/vendedlogs/")  # tests/infra/test_upgrades.py says why
    assert applied.made["aws_secretsmanager_secret.key"]["kms_key_id"] == made["arn"]
    assert applied.all("aws_secretsmanager_secret_version") == []


def test_an_image_takes_the_address_that_it_was_pushed_to(
    build_dir: Callable[[str, str], Path], tmp_path: Path
) -> None:
    build = build_dir("image", "arm64")
    asked = terraform(folder(tmp_path / "without"), build)
    assert "holds an image: push it to ECR, and give its address as image_uri" in " ".join(asked["error"].split())

    address = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/openclip@sha256:" + "0" * 64
    state = State(terraform(folder(tmp_path / "with"), build, image_uri=address, snap_start="false", memory="2048"))
    function = state.as_template("aws_lambda_function.openclip")
    assert {
        "PackageType": "Image",
        "ImageUri": address,
        "Architectures": ["arm64"],
        "MemorySize": 2048,
    }.items() <= function.items()
    assert not {"Layers", "Handler", "Runtime", "SnapStart", "S3Bucket"} & set(function)
    assert state.all("aws_s3_bucket") == []


def test_the_memory_is_the_packages_unless_told(tmp_path: Path) -> None:
    build = fake_build.write(tmp_path / "build", "layer")
    package = json.loads((build / "package.json").read_text())
    (build / "package.json").write_text(json.dumps(package | {"memory": 5120}))
    cdk = synthesized(build, tmp_path / "cdk.out", {})

    state = State(terraform(folder(tmp_path), build))
    assert state.as_template("aws_lambda_function.openclip")["MemorySize"] == the_function(cdk)["MemorySize"] == 5120


def test_terraform_refuses_what_the_provider_has_not(build_dir: Callable[[str, str], Path], tmp_path: Path) -> None:
    configuration = folder(tmp_path)
    path = configuration / "function.tf"
    path.write_text(path.read_text().replace("  publish       = true", "  published     = true"))
    found = terraform(configuration, build_dir("layer", "x86_64"))
    assert 'An argument named "published" is not expected here' in found["error"]


def test_without_a_package_the_command_to_run_is_told(tmp_path: Path) -> None:
    found = terraform(folder(tmp_path), tmp_path / "nowhere")
    assert "package.json is missing" in " ".join(found["error"].split())
    assert "run `make package`" in " ".join(found["error"].split())


def test_the_commands_of_the_page_are_those_that_are_run_here() -> None:
    [block] = marked(__file__, "examples/README.md")
    said = [line.removeprefix("terraform ") for line in block.text.splitlines() if line.startswith("terraform ")]
    run = re.findall(r'^ +\("(\w+)"', (ROOT / "tests" / "infra" / "terraform" / "apply.py").read_text("utf-8"), re.M)
    assert said == [command for command in run if command in ("init", "apply")]
