"""What the synthesized template promises: read as CloudFormation will read it."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler import offline
from handler.http import cors, routes
from handler.messages import Request
from handler.settings import Settings
from infra.errors import SettingsError
from infra.settings import StackSettings
from tests.infra.conftest import Synth, Template, resources, statements_of, the_function

# DESIGN: the offline set and the writable-directory set.
OFFLINE = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"}
WRITABLE = {"HOME", "XDG_CACHE_HOME", "TORCH_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "HF_HOME", "HF_HUB_CACHE"}
LIMITS = {  # each another number than the handler's default
    "max_items": 1,
    "max_body_bytes": 2,
    "max_image_pixels": 3,
    "max_request_pixels": 4,
    "max_object_bytes": 5,
    "model_memory_mb": 6,
    "threads": 2,
}


def test_every_setting_of_the_handler_can_be_deployed(synth: Synth) -> None:
    elsewhere = {"bundle_dir", "cache_dir", "extensions"}  # one place each
    gateway = {"cors_origins", "base_path"}  # it answers for one, and names its route whatever stands before it
    named = set(Settings._fields) - elsewhere - gateway

    assert named <= set(StackSettings.model_fields)


def test_the_handler_reads_the_environment_that_the_stack_writes(synth: Synth) -> None:
    on = {"pages": False, "jpeg_decoding": "full", "exif_orientation": True, "dialects": ("tei", "jina")}
    deployed = {**LIMITS, "cache_mode": "copy", **on}
    given = {name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in deployed.items()}
    variables = the_function(synth(**given))["Environment"]["Variables"]

    settings = Settings.from_env(variables)

    assert {name: getattr(settings, name) for name in deployed} == deployed
    assert str(settings.bundle_dir) == "/opt/openclip"
    assert offline.environment(settings.cache_dir).items() <= variables.items()


def test_the_environment_is_offline_writable_and_within_what_lambda_takes(synth: Synth) -> None:
    variables = the_function(synth(allowed_buckets="images"))["Environment"]["Variables"]

    assert {variables[name] for name in OFFLINE} == {"1"}
    assert all(variables[name].startswith("/tmp/") for name in WRITABLE)
    assert len(json.dumps(variables, separators=(",", ":"))) <= 4096  # as Lambda's own error quotes it


def test_an_environment_over_what_lambda_takes_stops_the_synth(synth: Synth) -> None:
    names = [f"images-{number:03}-{'x' * 20}" for number in range(120)]

    with pytest.raises(SettingsError, match=r"with 120 of them the function's environment takes .* Lambda takes 4,096"):
        synth(allowed_buckets=",".join(names))


def test_every_variable_of_ours_is_one_that_the_handler_reads(synth: Synth) -> None:
    variables = the_function(synth(threads="2"))["Environment"]["Variables"]
    read: set[str] = set()

    class Recorder(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    Settings.from_env(Recorder())
    assert {name for name in variables if name.startswith("OPENCLIP_")} <= read


def test_the_gateway_has_the_routes_that_the_handler_answers_and_no_other(synth: Synth) -> None:
    keys = {route["RouteKey"] for route in resources(synth(), "AWS::ApiGatewayV2::Route")}

    answered = {(method, path) for path, methods in routes.ROUTES.items() for method in methods} | set(routes.SAME)
    heads = {("HEAD", path) for method, path in answered if method == "GET"}
    keyed = {(method, f"/k/{{key}}{path}") for method, path in answered | heads if path in routes.KEYED}
    assert {f"{method} {path}" for method, path in answered | heads | keyed} == {
        key.replace("{proxy+}", "{model}") for key in keys
    }


@pytest.mark.parametrize(("given", "there"), [("", ()), ("cohere", ("/v2/embed",)), ("bedrock,jina", ())])
def test_a_dialect_that_is_left_out_has_no_route(synth: Synth, given: str, there: tuple[str, ...]) -> None:
    keys = {route["RouteKey"] for route in resources(synth(dialects=given), "AWS::ApiGatewayV2::Route")}
    paths = {key.partition(" ")[2].removeprefix("/k/{key}") for key in keys}
    assert paths & set(routes.DIALECT_OF) == set(there)
    assert "POST /" not in keys  # text-embeddings-inference's


def test_a_path_takes_a_key_where_that_is_what_the_api_asks_for_and_for_weaviate_alone(synth: Synth) -> None:
    def keyed(template: Template) -> set[tuple[str, str]]:
        of = resources(template, "AWS::ApiGatewayV2::Route")
        return {(one["RouteKey"], one["AuthorizationType"]) for one in of if "{key}" in one["RouteKey"]}

    template = synth()
    assert {path for path, _ in keyed(template)} == {
        "POST /k/{key}/vectorize", *(f"{method} /k/{{key}}{path}" for method in ("GET", "HEAD") for path in (
            "/meta", "/.well-known/live", "/.well-known/ready"))
    }  # fmt: skip
    assert {kind for _, kind in keyed(template)} == {"CUSTOM"}
    authorizers = resources(template, "AWS::ApiGatewayV2::Authorizer")
    ways = {source: one["AuthorizerResultTtlInSeconds"] for one in authorizers for source in one["IdentitySource"]}
    # Without a cache: in the path's one a right key would open the route for whoever comes next.
    assert ways == {"$request.header.Authorization": 0, "$context.routeKey": 0}
    for number, more in enumerate(({"auth": "none"}, {"auth": "iam"}, {"dialects": "cohere"})):
        assert keyed(synth(out=f"other-{number}", **more)) == set()


def test_the_api_calls_the_alias_and_the_alias_waits_for_the_health_gate(synth: Synth) -> None:
    template = synth()
    aliases = {name: item for name, item in template["Resources"].items() if item["Type"] == "AWS::Lambda::Alias"}
    ((alias, described),) = aliases.items()

    assert described["Properties"]["Name"] == "live"
    uris = [item["IntegrationUri"] for item in resources(template, "AWS::ApiGatewayV2::Integration")]
    assert uris == [{"Ref": alias}]
    callers = [item["FunctionName"] for item in resources(template, "AWS::Lambda::Permission")]
    assert callers.count({"Ref": alias}) == 1  # the API, and no other: of a policy Lambda takes 20 KB
    (gate,) = [name for name, item in template["Resources"].items() if item["Type"] == "Custom::HealthGate"]
    assert gate in described["DependsOn"]
    version = template["Resources"][gate]["Properties"]["FunctionVersion"]["Ref"]
    assert template["Resources"][version]["Type"] == "AWS::Lambda::Version"
    assert described["Properties"]["FunctionVersion"]["Fn::GetAtt"][0] == version


READ = ["s3:GetObject", "s3:GetObjectVersion"]  # the second for `?versionId=`


def test_the_function_may_log_trace_tell_of_failures_and_read_the_named_buckets_and_nothing_else(synth: Synth) -> None:
    assert actions_of(synth()) == {
        "kms:Decrypt",  # of the queue's messages, as the two below
        "kms:GenerateDataKey",
        "sqs:SendMessage",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
    template = synth(allowed_buckets="images,other-images", out="buckets")
    assert actions_of(template) == {*actions_of(synth(out="again")), *READ}
    (statement,) = [item for item in statements_of(template) if item["Action"] == READ]
    arns = [
        "".join(part if isinstance(part, str) else "aws" for part in arn["Fn::Join"][1])
        for arn in statement["Resource"]
    ]
    assert arns == ["arn:aws:s3:::images/*", "arn:aws:s3:::other-images/*"]


def test_log_groups_are_encrypted_and_kept_as_long_as_the_setting_says(synth: Synth) -> None:
    groups = resources(synth(log_retention="90"), "AWS::Logs::LogGroup")

    assert len(groups) == 3
    assert {group["RetentionInDays"] for group in groups} == {90}
    assert all("KmsKeyId" in group for group in groups)


def test_the_stage_throttles_and_its_access_log_holds_no_credential(synth: Synth) -> None:
    (stage,) = resources(synth(throttle_rate="7.5", throttle_burst="9"), "AWS::ApiGatewayV2::Stage")

    limits = stage["DefaultRouteSettings"]
    assert (limits["ThrottlingRateLimit"], limits["ThrottlingBurstLimit"]) == (7.5, 9)
    logged = set(json.loads(stage["AccessLogSettings"]["Format"]).values())
    assert "$context.requestId" in logged  # or API Gateway refuses the format
    assert not any("header" in field or "query" in field.lower() for field in logged)
    assert not any("path" in field.lower() for field in logged)  # where Weaviate's key is


def test_cors_is_off_until_an_origin_is_named(synth: Synth) -> None:
    (closed,) = resources(synth(), "AWS::ApiGatewayV2::Api")
    assert "CorsConfiguration" not in closed
    (opened,) = resources(
        synth(cors_origins="https://a.example,https://b.example", out="cors"), "AWS::ApiGatewayV2::Api"
    )
    assert opened["CorsConfiguration"]["AllowOrigins"] == ["https://a.example", "https://b.example"]


def test_the_gateway_says_of_cors_what_the_handler_says_where_no_gateway_stands_before_it(synth: Synth) -> None:
    (api,) = resources(synth(cors_origins="https://a.example"), "AWS::ApiGatewayV2::Api")
    request = Request("OPTIONS", "/", {"origin": "https://a.example", "access-control-request-method": "POST"})
    settings = Settings(cors_origins=("https://a.example",))

    said = cors.add(cors.preflight(request, ("GET", "POST"), settings), request, settings).headers

    gateway = api["CorsConfiguration"]
    assert gateway["AllowHeaders"] == said["access-control-allow-headers"].split(", ")
    assert gateway["ExposeHeaders"] == said["access-control-expose-headers"].split(", ")
    assert {*gateway["AllowMethods"], "OPTIONS"} == set(said["access-control-allow-methods"].split(", "))
    assert gateway["MaxAge"] == int(said["access-control-max-age"])


def test_concurrency_is_reserved_on_the_function_and_provisioned_on_the_alias(synth: Synth) -> None:
    template = synth(reserved_concurrency="4", provisioned_concurrency="2", snap_start="false")

    assert the_function(template)["ReservedConcurrentExecutions"] == 4
    (alias,) = resources(template, "AWS::Lambda::Alias")
    assert alias["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": 2}


@pytest.mark.parametrize(("architecture", "platform"), [("x86_64", "linux/amd64"), ("arm64", "linux/arm64")])
def test_docker_gets_the_platform_of_the_target(synth: Synth, tmp_path: Path, architecture: str, platform: str) -> None:
    synth("image", architecture)

    images = json.loads((tmp_path / "cdk.out" / "openclip.assets.json").read_text())["dockerImages"]
    assert [image["source"]["platform"] for image in images.values()] == [platform]


def test_a_layer_function_has_the_models_and_the_dependencies_as_layers(synth: Synth) -> None:
    template = synth("layer", "arm64")

    function = the_function(template)
    assert function["Handler"] == "handler.app.lambda_handler"
    assert len(function["Layers"]) == 2
    layers = resources(template, "AWS::Lambda::LayerVersion")
    assert {tuple(layer["CompatibleArchitectures"]) for layer in layers} == {("arm64",)}


def actions_of(template: Template) -> set[str]:
    found: set[str] = set()
    for statement in statements_of(template):
        found.update([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    return found
