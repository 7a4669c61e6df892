"""Each alarm of a batch is set off by what AWS counts when that goes wrong, and by nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import Synth, Template, resources
from tests.infra.watching import fired, point

OTHERS = {
    "Errors",
    "Throttles",
    "SlowRequests",
    "SlowStarts",
    "ServerErrors",
    "InternalErrors",
    "NotReady",
    "AuthorizerErrors",
    "FailedInvokes",
    "LostInvokes",
}  # fmt: skip - of the API: test_alarms.py
TOPIC = "arn:aws:sns:eu-west-1:111122223333:alarms"


@pytest.fixture(scope="module")
def template(build_dir: Any, tmp_path_factory: pytest.TempPathFactory) -> Template:
    from aws_cdk import App

    from infra.assembly import assemble

    out = tmp_path_factory.mktemp("batch-alarms")
    context = {"build_dir": str(build_dir("image", "x86_64")), "batch_source": "photos", "alarm_topic_arn": TOPIC}
    app = App(context=context, outdir=str(out))
    stack = assemble(app)
    app.synth()
    found: Template = json.loads(Path(out, f"{stack.stack_name}.template.json").read_text())
    return found


def logical(template: Template, kind: str, contains: str) -> str:
    (name,) = [key for key, item in template["Resources"].items() if item["Type"] == kind and contains in key]
    return str(name)


def batch_alarms(template: Template) -> dict[str, dict[str, Any]]:
    alarms = {key.removeprefix("Monitoring")[:-8]: item["Properties"] for key, item in template["Resources"].items()
              if item["Type"] == "AWS::CloudWatch::Alarm"}  # fmt: skip
    return {name: alarm for name, alarm in alarms.items() if name not in OTHERS}


def test_what_aws_counts_sets_off_the_alarm_that_is_meant(template: Template) -> None:
    """Names and dimensions as the services' own pages of metrics have them."""
    machine = logical(template, "AWS::StepFunctions::StateMachine", "Machine")
    worker = {"FunctionName": logical(template, "AWS::Lambda::Function", "BatchWorker")}
    compactor = {"FunctionName": logical(template, "AWS::Lambda::Function", "BatchCompaction")}
    queue = {"QueueName": logical(template, "AWS::SQS::Queue", "ArrivalsQueue")}
    poison = {"QueueName": logical(template, "AWS::SQS::Queue", "ArrivalsPoison")}
    told = {
        "FailedRuns": point("AWS/States", "ExecutionsFailed", 1, StateMachineArn=machine),
        "TimedOutRuns": point("AWS/States", "ExecutionsTimedOut", 1, StateMachineArn=machine),
        "WorkerErrors": point("AWS/Lambda", "Errors", 1, **worker),
        "WorkerThrottles": point("AWS/Lambda", "Throttles", 1, **worker),
        "LateArrivals": point("AWS/SQS", "ApproximateAgeOfOldestMessage", 600, **queue),
        "LostArrivals": point("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1, **poison),
        "CompactionErrors": point("AWS/Lambda", "Errors", 1, **compactor),
    }
    assert set(told) == set(batch_alarms(template))
    assert {name: fired(template, [told[name]]) for name in told} == {name: {name} for name in told}
    calm = [
        point("AWS/States", "ExecutionsSucceeded", 5, StateMachineArn=machine),
        point("AWS/SQS", "ApproximateAgeOfOldestMessage", 599, **queue),
        point("AWS/SQS", "ApproximateNumberOfMessagesVisible", 500, **queue),  # a burst waits, and is no failure
    ]
    assert fired(template, calm) == set()


def test_every_alarm_tells_the_topic_and_none_is_set_off_by_silence(template: Template) -> None:
    for alarm in batch_alarms(template).values():
        assert alarm["AlarmActions"] == [TOPIC]
        assert alarm["TreatMissingData"] == "notBreaching"


def test_the_dashboard_has_a_row_for_the_batch_where_there_is_one(template: Template, synth: Synth) -> None:
    def titles(of: Template) -> list[tuple[str, int, int]]:
        (board,) = resources(of, "AWS::CloudWatch::Dashboard")
        parts = board["DashboardBody"]["Fn::Join"][1]
        body = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))
        return [(item["properties"]["title"], item["y"], item["width"]) for item in body["widgets"]]

    row = [item for item in titles(template) if item[0].startswith("Batch: ")]
    assert [title for title, _, _ in row] == [
        "Batch: runs",
        "Batch: shards and arrivals",
        "Batch: failures",
        "Batch: arrivals that wait",
    ]
    assert len({y for _, y, _ in row}) == 1
    assert sum(width for _, _, width in row) == 24
    assert not any(title.startswith("Batch") for title, _, _ in titles(synth()))
