"""What stands between strangers and the function's cost: throttles, time limits, the queue of failures, the key."""

import json

import pytest

from handler.settings import Settings
from tests.infra.conftest import Synth, Template, resources, statements_of, the_function

OPEN = {f"{method} {path}" for method in ("GET", "HEAD") for path in ("/", "/docs", "/openapi.json")}


def test_each_route_that_asks_for_no_credential_has_a_throttle_of_its_own(synth: Synth) -> None:
    template = synth(pages_rate="2.5", pages_burst="3")
    (stage,) = [item for item in template["Resources"].values() if item["Type"] == "AWS::ApiGatewayV2::Stage"]
    routes = {item: one for item, one in template["Resources"].items() if one["Type"] == "AWS::ApiGatewayV2::Route"}
    unasked = {item for item, route in routes.items() if route["Properties"]["AuthorizationType"] == "NONE"}

    limits = stage["Properties"]["RouteSettings"]
    assert set(limits) == {routes[item]["Properties"]["RouteKey"] for item in unasked} == OPEN
    for limit in limits.values():
        assert (limit["ThrottlingRateLimit"], limit["ThrottlingBurstLimit"]) == (2.5, 3)
    assert unasked <= set(stage["DependsOn"])  # API Gateway refuses settings of a route that is not there


def test_pages_can_be_turned_off_at_the_gateway_and_in_the_handler(synth: Synth) -> None:
    template = synth(pages="false")

    kinds = {route["RouteKey"]: route["AuthorizationType"] for route in resources(template, "AWS::ApiGatewayV2::Route")}
    assert {kinds[key] for key in OPEN} == {"AWS_IAM"}  # no key opens them, and nothing else does for a stranger
    assert {kinds[key] for key in ("GET /health", "POST /v1/embeddings", "POST /")} == {"CUSTOM"}
    assert Settings.from_env(the_function(template)["Environment"]["Variables"]).pages is False


@pytest.mark.parametrize("auth", ["api_key", "iam", "none"])
@pytest.mark.parametrize("dialects", [None, ""])
def test_no_setting_takes_a_route_away_that_the_stage_has_settings_of(
    synth: Synth, auth: str, dialects: str | None
) -> None:
    """CloudFormation leaves RouteSettings on a stage when the template has none any more (UpdateStage merges them).

    From then on API Gateway refuses each UpdateStage: "Unable to find Route by key GET / within the provided
    RouteSettings". So a deployment after the one with pages=false, of another throttle_rate, would be rolled back.
    """
    named = set[str]()
    for pages in ("true", "false"):
        more = {} if dialects is None else {"dialects": dialects}
        template = synth(auth=auth, pages=pages, out=pages, **more)
        keys = {route["RouteKey"] for route in resources(template, "AWS::ApiGatewayV2::Route")}
        named |= set(resources(template, "AWS::ApiGatewayV2::Stage")[0]["RouteSettings"])
        assert named <= keys


@pytest.mark.parametrize(
    ("context", "seconds"),
    [({}, 29), ({"direct_invokes": "true"}, 60), ({"direct_invokes": "true", "timeout": "300"}, 300)],
)
def test_the_function_runs_no_longer_than_somebody_waits(synth: Synth, context: dict[str, str], seconds: int) -> None:
    template = synth(**context)

    assert the_function(template)["Timeout"] == seconds
    (integration,) = resources(template, "AWS::ApiGatewayV2::Integration")
    assert integration["TimeoutInMillis"] == 29_000


def test_a_failed_asynchronous_invoke_is_not_tried_again_and_lies_encrypted_in_a_queue(synth: Synth) -> None:
    template = synth()
    configs = resources(template, "AWS::Lambda::EventInvokeConfig")
    ((queue, described),) = [item for item in template["Resources"].items() if item[1]["Type"] == "AWS::SQS::Queue"]

    assert {config["Qualifier"] for config in configs} == {"live", "$LATEST"}
    assert {config["MaximumRetryAttempts"] for config in configs} == {0}
    for config in configs:
        assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert template["Resources"][described["Properties"]["KmsMasterKeyId"]["Fn::GetAtt"][0]]["Type"] == "AWS::KMS::Key"
    sends = [item for item in statements_of(template) if item["Action"] == "sqs:SendMessage"]
    assert [item["Resource"] for item in sends] == [{"Fn::GetAtt": [queue, "Arn"]}]


def test_no_denial_is_kept_by_the_gateway_and_the_window_of_the_previous_key_is_the_setting(synth: Synth) -> None:
    template = synth(previous_key_minutes="5")

    authorizers = resources(template, "AWS::ApiGatewayV2::Authorizer")
    assert {authorizer["AuthorizerResultTtlInSeconds"] for authorizer in authorizers} == {0}
    sources = sorted(source for authorizer in authorizers for source in authorizer["IdentitySource"])
    # Without the header: 401, and nothing is called. The other is of the routes that have the key in their path.
    assert sources == ["$context.routeKey", "$request.header.Authorization"]
    (function,) = [item for item in resources(template, "AWS::Lambda::Function") if "API key" in item["Description"]]
    assert function["Environment"]["Variables"]["PREVIOUS_KEY_SECONDS"] == "300"


def test_no_metrics_of_single_routes_are_made_which_cloudwatch_bills_and_nothing_reads(synth: Synth) -> None:
    """Amazon API Gateway, "Monitor CloudWatch metrics for HTTP APIs": detailed metrics add them, for a charge."""
    template = synth()
    [stage] = resources(template, "AWS::ApiGatewayV2::Stage")

    settings = [stage["DefaultRouteSettings"], *stage["RouteSettings"].values()]
    assert [one["DetailedMetricsEnabled"] for one in settings] == [False] * (1 + len(OPEN))
    stats = [one["MetricStat"]["Metric"] for alarm in resources(template, "AWS::CloudWatch::Alarm")
             for one in alarm.get("Metrics", []) if "MetricStat" in one]  # fmt: skip
    read = {tuple(one["Name"] for one in stat["Dimensions"]) for stat in stats if stat["Namespace"] == "AWS/ApiGateway"}
    assert read == {("ApiId", "Stage")}


def test_without_tracing_nothing_is_traced_and_no_role_may_trace(synth: Synth) -> None:
    """AWS Lambda, "Visualize Lambda function invocations using AWS X-Ray": the sampling rate cannot be configured."""
    everything = {"batch_source": "photos", "search": "lance"}
    on, off = synth(**everything), synth(**everything, tracing="false", out="off")

    def modes(template: Template) -> set[str]:
        functions = resources(template, "AWS::Lambda::Function")
        return {one["TracingConfig"]["Mode"] for one in functions if "TracingConfig" in one}

    machines = [resources(one, "AWS::StepFunctions::StateMachine")[0]["TracingConfiguration"] for one in (on, off)]
    assert [one["Enabled"] for one in machines] == [True, False]
    assert (modes(on), modes(off)) == ({"Active"}, {"PassThrough"})
    assert [("xray:" in json.dumps(one["Resources"])) for one in (on, off)] == [True, False]
