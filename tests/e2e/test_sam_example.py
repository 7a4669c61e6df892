"""examples/sam by the real SAM CLI: what it translates to is what CDK's stack is, and its function answers."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.documents import marked
from tests.e2e.aws import ROOT, RUNTIME, tagged
from tests.e2e.builds import Builds, manifest_sha256
from tests.e2e.deployment import synthesize
from tests.e2e.engine import docker
from tests.e2e.stand_in import base_image
from tests.e2e.test_sam import ENVIRON, EVENTS, SAM, STAND_IN, run
from tests.infra.conftest import Template, resources, the_function
from tests.patience import SECONDS

PYTHON = SAM.with_name("python")
# The SAM CLI's own step from its template to CloudFormation's, which `sam validate` takes and does not show.
TRANSLATE = """
import json, sys, yaml
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
class NoPolicies:
    def load(self):
        return {}
template = json.load(open(sys.argv[1]))
found = SamTemplateValidator(template, NoPolicies(), region="eu-west-1").get_translated_template_if_valid()
print(json.dumps(yaml.safe_load(found)))
"""


@pytest.fixture(scope="module", params=["layer", "image"])
def source(request: pytest.FixtureRequest, docker_engine: None, build: Builds) -> Path:
    """A build, with the template that the example's command writes into it."""
    found = build(request.param, "int8")
    run(ROOT / ".venv" / "bin" / "python", "examples/sam/template.py", "--build", found)
    return found


def translate(source: Path) -> Template:
    """Return CloudFormation's template of a SAM template."""
    words = [str(PYTHON), "-c", TRANSLATE, str(source)]
    shown = subprocess.run(words, env=ENVIRON, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    template: Template = json.loads(shown)
    return template


@pytest.fixture(scope="module")
def translated(source: Path) -> Template:
    return translate(source / "sam.json")


@pytest.fixture(scope="module")
def cdk(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    out = tmp_path_factory.mktemp("synth")
    synthesize({"build_dir": str(source)}, out)
    template: Template = json.loads((out / "openclip.template.json").read_text())
    return template


def test_the_template_is_valid_and_has_no_finding_of_cfn_lint(source: Path) -> None:
    assert "is a valid SAM Template" in run(SAM, "validate", "--lint", "--template", source / "sam.json")


def test_the_function_is_configured_as_cdk_configures_it(translated: Template, cdk: Template) -> None:
    wanted, made = the_function(cdk), the_function(translated)
    for name in set(wanted) - {"Code", "Role", "Layers", "LoggingConfig"}:
        assert made.get(name) == wanted[name], name
    # CDK orders the layers by their names, and the package as Lambda unpacks them. No file is in two
    # (tests/unit/layer/test_package_swap.py).
    described = [{template["Resources"][one["Ref"]]["Properties"]["Description"] for one in function.get("Layers", [])}
                 for template, function in ((translated, made), (cdk, wanted))]  # fmt: skip
    assert described[0] == described[1]
    [alias] = resources(translated, "AWS::Lambda::Alias")
    assert alias["Name"] == "live"


def test_no_route_is_open_and_only_the_api_may_invoke(translated: Template, cdk: Template) -> None:
    [api] = resources(translated, "AWS::ApiGatewayV2::Api")
    theirs = {one["RouteKey"] for one in resources(cdk, "AWS::ApiGatewayV2::Route")}
    routes = {
        f"{method.upper()} {path}": one for path, found in api["Body"]["paths"].items() for method, one in found.items()
    }

    assert {"POST /v1/embeddings", "GET /health"} <= set(routes) <= theirs
    assert all(one["security"] == [{"ApiKey": []}] for one in routes.values())
    [scheme] = api["Body"]["components"]["securitySchemes"].values()
    assert scheme["in"] == "header"
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert authorizer["authorizerResultTtlInSeconds"] == 0
    assert authorizer["identitySource"] == ["$request.header.Authorization"]
    permissions = resources(translated, "AWS::Lambda::Permission")
    assert {one["Principal"] for one in permissions} == {"apigateway.amazonaws.com"}
    assert all("SourceArn" in one for one in permissions)
    assert resources(translated, "AWS::Lambda::Url") == []


def test_the_gateway_throttles_and_logs_as_cdks(translated: Template, cdk: Template) -> None:
    [made], [wanted] = (resources(template, "AWS::ApiGatewayV2::Stage") for template in (translated, cdk))
    assert made["DefaultRouteSettings"] == wanted["DefaultRouteSettings"]
    assert made["AccessLogSettings"]["Format"] == wanted["AccessLogSettings"]["Format"]
    assert made["StageName"] == wanted["StageName"]
    groups = resources(translated, "AWS::Logs::LogGroup")
    assert {(json.dumps(one["KmsKeyId"]), one["RetentionInDays"]) for one in groups} == {
        (json.dumps({"Fn::GetAtt": ["Key", "Arn"]}), 30)
    }
    [secret], [other] = (resources(template, "AWS::SecretsManager::Secret") for template in (translated, cdk))
    assert secret["GenerateSecretString"] == other["GenerateSecretString"]
    assert "KmsKeyId" in secret


def test_roles_have_their_own_statements_and_no_managed_policy(translated: Template) -> None:
    wide = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}  # which have no resource that could be named
    for role in resources(translated, "AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role
        for statement in role["Policies"][0]["PolicyDocument"]["Statement"]:
            assert statement["Resource"] != "*" or set(statement["Action"]) == wide
            assert not any("*" in action for action in statement["Action"])


@pytest.fixture
def images() -> Iterator[None]:
    """The stand-ins under AWS's names, and none of what SAM makes of them in the end."""
    with ExitStack() as stack:
        for name in (RUNTIME, f"{RUNTIME}-x86_64"):
            stack.enter_context(tagged(base_image("3.13"), name))
        yield
        for reference in ("samcli/lambda-python", "function"):
            for image in docker("images", "-q", "--filter", STAND_IN, "--filter", f"reference={reference}").split():
                docker("rmi", "--force", image)


def test_the_layers_answer_with_the_bundle_that_was_packaged(build: Builds, images: None, tmp_path: Path) -> None:
    source = build("layer", "int8")  # an image is built and run in tests/e2e/test_sam.py as it would be here
    run(ROOT / ".venv" / "bin" / "python", "examples/sam/template.py", "--build", source)
    [block] = marked(__file__, "examples/README.md")
    [line] = [line for line in block.text.splitlines() if line.startswith("sam build ")]
    words = [str(source / "sam.json") if word == "build/sam.json" else word for word in shlex.split(line)[1:]]
    run(SAM, *words, "--build-dir", tmp_path / "built", cwd=tmp_path)
    arguments = ("--template", tmp_path / "built" / "template.yaml", "--event", EVENTS / "health.json")
    answer: Any = json.loads(
        run(SAM, "local", "invoke", "Function", *arguments, "--skip-pull-image", cwd=tmp_path).strip().splitlines()[-1]
    )

    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["manifest_sha256"] == manifest_sha256(source)
