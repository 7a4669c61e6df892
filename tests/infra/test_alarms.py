"""Each alarm is set off by what AWS, or the handler itself, says when that goes wrong, and by nothing else."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from openclip_lambda.batch.prices import Prices

from handler.http import dispatch, routes
from handler.service import Service
from tests.infra.conftest import Synth, Template, resources
from tests.infra.watching import Point, embedded, filtered, fired, point
from tests.unit.fake_bundle import FakeFunction, image_bytes

PAGE = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
TOPIC = "arn:aws:sns:eu-west-1:111122223333:alarms"
QUESTION = {"rawPath": "/v1/embeddings", "headers": {"content-type": "application/json"}, "body": '{"input": "a"}'}


@pytest.fixture
def template(watched: Template) -> Template:
    return watched


def name_of(template: Template, kind: str, contains: str = "") -> str:
    (name,) = [key for key, item in template["Resources"].items() if item["Type"] == kind and contains in key]
    return str(name)


def names(template: Template) -> set[str]:
    """The alarms' names in monitoring.py."""
    alarms = [key for key, item in template["Resources"].items() if item["Type"] == "AWS::CloudWatch::Alarm"]
    return {key.removeprefix("Monitoring")[:-8] for key in alarms}


def http(path: str = "/v1/embeddings", method: str = "POST", **event: Any) -> dict[str, Any]:
    return {**QUESTION, "rawPath": path, "requestContext": {"http": {"method": method}, "stage": "$default"}, **event}


@pytest.fixture
def function(template: Template, monkeypatch: pytest.MonkeyPatch) -> str:
    """The embedding function's name, which the handler finds in its environment as Lambda sets it."""
    name = name_of(template, "AWS::Lambda::Function", "OpenClipFunction")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", name)
    return name


def points_of(capsys: pytest.CaptureFixture[str]) -> list[Point]:
    return [one for line in capsys.readouterr().out.splitlines() for one in embedded(line)]


def test_every_alarm_is_known_here_and_tells_the_topic(template: Template, synth: Synth) -> None:
    alarms = resources(template, "AWS::CloudWatch::Alarm")

    assert names(template) == {
        *("Errors", "Throttles", "SlowRequests", "SlowStarts", "ServerErrors", "InternalErrors", "NotReady"),
        *("AuthorizerErrors", "FailedInvokes", "LostInvokes"),
    }
    assert all(alarm["AlarmActions"] == [TOPIC] for alarm in alarms)
    assert all(alarm["TreatMissingData"] == "notBreaching" for alarm in alarms)
    assert len(resources(template, "AWS::CloudWatch::Dashboard")) == 1
    without = resources(synth(auth="iam", out="iam"), "AWS::CloudWatch::Alarm")
    assert len(without) == len(alarms) - 1  # no authorizer
    assert not any("AlarmActions" in alarm for alarm in without)


def test_what_aws_counts_sets_off_the_alarm_that_is_meant(template: Template, function: str) -> None:
    """Names and dimensions as the services' own pages of metrics have them."""
    live = {"FunctionName": function, "Resource": f"{function}:live"}
    key = name_of(template, "AWS::Lambda::Function", "ApiKeyAuthorizer")
    queue = name_of(template, "AWS::SQS::Queue")
    told = {
        "Errors": [point("AWS/Lambda", "Errors", 1, **live)],
        "Throttles": [point("AWS/Lambda", "Throttles", 1, **live)],
        "SlowRequests": [point("AWS/Lambda", "Duration", 10_000, **live)],
        "AuthorizerErrors": [point("AWS/Lambda", "Errors", 1, FunctionName=key)],
        "FailedInvokes": [point("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1, QueueName=queue)],
        "LostInvokes": [point("AWS/Lambda", "DestinationDeliveryFailures", 1, FunctionName=function)],
    }

    assert {name: fired(template, points) for name, points in told.items()} == {name: {name} for name in told}
    assert (
        fired(template, [point("AWS/Lambda", "Duration", 9_999, **live), point("AWS/Lambda", "Errors", 0, **live)])
        == set()
    )


@pytest.mark.parametrize(("requests", "errors", "percent", "alarmed"), [
    (1, 1, 5, True), (20, 1, 5, True), (21, 1, 5, False), (1000, 0, 5, False), (0, 0, 5, False), (1000, 10, 1, True),
])  # fmt: skip
def test_the_share_of_5xx_sets_off_its_alarm(
    synth: Synth, requests: int, errors: int, percent: int, alarmed: bool
) -> None:
    template = synth(alarm_server_errors=str(percent))
    stage = {"ApiId": name_of(template, "AWS::ApiGatewayV2::Api"), "Stage": "$default"}

    points = [point("AWS/ApiGateway", "Count", requests, **stage), point("AWS/ApiGateway", "5xx", errors, **stage)]

    assert fired(template, points) == ({"ServerErrors"} if alarmed else set())


@pytest.mark.parametrize("event", [http(), {"input": "a"}, http("/health", "GET"), http("/.well-known/ready", "GET")])
def test_a_function_that_can_serve_nothing_sets_off_an_alarm_by_its_own_line(
    template: Template, function: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, event: dict[str, Any]
) -> None:
    service = Service.start({"OPENCLIP_BUNDLE_DIR": str(tmp_path / "nowhere")})

    dispatch.handle(service, event, None)

    assert fired(template, points_of(capsys)) == {"NotReady"}


@pytest.mark.parametrize("event", [http(), {"input": "a"}])
def test_an_error_of_ours_sets_off_an_alarm_by_its_own_line(
    template: Template,
    function: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    event: dict[str, Any],
) -> None:
    fake = FakeFunction(tmp_path / "bundle")
    monkeypatch.setattr(routes, "_embed", lambda *_: 1 / 0)

    dispatch.handle(fake.service, event, None)

    assert fired(template, points_of(capsys)) == {"InternalErrors"}


def test_a_clients_mistake_sets_off_none(
    template: Template, function: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fake = FakeFunction(tmp_path / "bundle")
    fake.post({"input": ""})
    fake.http("GET", "/v1/embeddings")
    fake.http("POST", "/nowhere")
    fake.post({"input": "a"})

    points = points_of(capsys)

    assert {dict(one.dimensions)["Code"] for one in points if one.name == "Rejected"} == {
        "empty_input",
        "method_not_allowed",
        "not_found",
    }
    assert fired(template, points) == set()


@pytest.mark.parametrize(("snap_start", "field"), [(True, "restoreDurationMs"), (False, "initDurationMs")])
def test_a_slow_start_sets_off_an_alarm_by_lambdas_own_report(synth: Synth, snap_start: bool, field: str) -> None:
    template = synth(snap_start=snap_start)

    def report(**metrics: float) -> str:
        """A line of the Telemetry API's schema, as Lambda logs it in the JSON format."""
        usual = {"durationMs": 101.5, "billedDurationMs": 102, "memorySizeMB": 3008, "maxMemoryUsedMB": 512}
        record = {"requestId": "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa", "status": "success", "metrics": usual | metrics}
        return json.dumps({"time": "2026-11-26T12:00:00.000Z", "type": "platform.report", "record": record})

    assert filtered(template, report()) == []
    assert fired(template, filtered(template, report(**{field: 7_999.9}))) == set()
    assert fired(template, filtered(template, report(**{field: 8_000}))) == {"SlowStarts"}


def test_the_page_says_what_the_lines_and_metrics_of_a_request_cost(
    template: Template, function: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fake, image = FakeFunction(tmp_path / "bundle"), {"image": base64.b64encode(image_bytes()).decode()}
    for _ in range(2):  # the first is a cold start
        assert fake.post({"input": "a red circle"})[0] == fake.post({"input": [image]})[0] == 200
    *_, text, picture = lines = capsys.readouterr().out.splitlines()
    series = {(one.name, one.dimensions) for line in lines for one in embedded(line)}
    count = len(series) + len(resources(template, "AWS::Logs::MetricFilter"))
    assert f"{count} metrics of one model ${0.3 * count:.2f}" in PAGE  # Amazon CloudWatch pricing: $0.30 for each

    access, overhead = 264, 26  # bytes: a line of the access log, and what CloudWatch Logs counts for each line
    sizes = [len(line) + access + 2 * overhead for line in (text, picture)]
    assert sizes == pytest.approx([1_200, 1_200], rel=0.15)
    assert f"${1_200e6 / 2**30 * Prices().logs_gb:.2f} + what Lambda" in PAGE
