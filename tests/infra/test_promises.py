"""Times, sizes and limits that the pages promise, and that nothing else in the template would tell."""

from typing import Any

import pytest

from tests.infra.conftest import Synth, Template, resources, synthesized, the_function
from tests.infra.test_batch import definition, function

DAY = 86_400  # seconds


@pytest.fixture(scope="module")
def template(build_dir: Any, tmp_path_factory: pytest.TempPathFactory) -> Template:
    context = {"batch_source": "photos", "search": "lance"}
    return synthesized(build_dir("image", "x86_64"), tmp_path_factory.mktemp("promises"), context)


def test_a_failed_invoke_waits_for_an_hour_and_lies_in_its_queue_for_four_days(template: Template) -> None:
    """docs/deploy.md, "Without the gateway"."""
    invokes = [one for one in resources(template, "AWS::Lambda::EventInvokeConfig") if "DestinationConfig" in one]
    assert {one["MaximumEventAgeInSeconds"] for one in invokes} == {3_600}
    every = resources(template, "AWS::Lambda::EventInvokeConfig")  # a rebuild's, too
    assert {one["MaximumRetryAttempts"] for one in every} == {0}
    assert len(every) > len(invokes)
    [name] = {one["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0] for one in invokes}
    assert template["Resources"][name]["Properties"]["MessageRetentionPeriod"] == 4 * DAY


def test_a_change_is_kept_for_two_weeks_whether_it_can_be_handled_or_not(template: Template) -> None:
    """Amazon SQS: a message keeps the time of its arrival in a dead-letter queue; 14 days are the most."""
    queues = {name: one for name, one in template["Resources"].items() if one["Type"] == "AWS::SQS::Queue"}
    kept = {name: one["Properties"]["MessageRetentionPeriod"] for name, one in queues.items() if "Arrival" in name}
    assert len(kept) == 4  # of the source's changes, and of the index's
    assert set(kept.values()) == {14 * DAY}


def test_a_run_has_two_weeks_and_a_shard_has_lambdas_quarter_of_an_hour(template: Template) -> None:
    """docs/collections.md, "Limits": Step Functions can redrive for 14 days, after which `parts/` expire."""
    assert definition(template)["TimeoutSeconds"] == 14 * DAY
    slow = ("batch worker", "batch compaction", "Lists the images", "index rebuild", "before it goes live")
    for says in slow[:-1]:
        assert function(template, says)["Timeout"] == 900, says
    checkers = [one for one in resources(template, "AWS::Lambda::Function") if slow[-1] in one["Description"]]
    assert {one["Timeout"] for one in checkers} == {900}
    gates = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "Custom::HealthGate"]
    assert {int(one["ServiceTimeout"]) for one in gates} == {900}  # CloudFormation waits as long, and no shorter


def test_keys_of_objects_are_in_no_log_of_a_run(template: Template) -> None:
    """docs/security.md: an input is never written to a log. Step Functions would log what it hands on."""
    [machine] = resources(template, "AWS::StepFunctions::StateMachine")
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


def test_the_key_has_48_letters_and_digits(template: Template) -> None:
    """docs/deploy.md, "Credentials"."""
    [secret] = resources(template, "AWS::SecretsManager::Secret")
    assert secret["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 48}
    [key] = resources(template, "AWS::KMS::Key")
    assert key["PendingWindowInDays"] == 7  # "The make targets": AWS deletes it after 7 days


def test_the_functions_that_alarms_read_log_what_alarms_read(template: Template) -> None:
    """AWS Lambda: platform.report has fields in the JSON format alone, and is of the level INFO."""
    for one in (the_function(template), function(template, "OpenCLIP search")):
        assert one["LoggingConfig"]["LogFormat"] == "JSON"
        assert one["LoggingConfig"].get("SystemLogLevel", "INFO") == "INFO"
        assert one["LoggingConfig"]["ApplicationLogLevel"] == "INFO"


def test_the_isolated_network_reaches_the_named_buckets_and_nothing_else(synth: Synth) -> None:
    """docs/deploy.md, `vpc`."""
    named = synth(vpc="isolated", allowed_buckets="images,more")
    [endpoint] = resources(named, "AWS::EC2::VPCEndpoint")
    [statement] = endpoint["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert [one["Fn::Join"][1][-1] for one in statement["Resource"]] == [":s3:::images/*", ":s3:::more/*"]
    without = synth(vpc="isolated", out="none")
    assert resources(without, "AWS::EC2::VPCEndpoint") == []
    [group] = resources(without, "AWS::EC2::SecurityGroup")
    assert group["SecurityGroupEgress"][0]["CidrIp"] == "255.255.255.255/32"  # CDK's way to write: to nowhere
    assert "SecurityGroupIngress" not in group


def test_an_alarm_looks_at_five_minutes_once(template: Template) -> None:
    """docs/deploy.md, "Alarms"."""
    alarms = resources(template, "AWS::CloudWatch::Alarm")
    assert {one["EvaluationPeriods"] for one in alarms} == {1}
    [expression] = [one["Metrics"] for one in alarms if "Metrics" in one]
    stats = [one["MetricStat"]["Period"] for one in expression if "MetricStat" in one]
    assert {*(one["Period"] for one in alarms if "Period" in one), *stats} == {300}


def test_a_destroyed_stack_leaves_the_bucket_of_plans_and_results_and_nothing_else(template: Template) -> None:
    """docs/deploy.md, "The make targets". A version that stays keeps its snapshot, which is billed."""
    stay = {one["Type"] for one in template["Resources"].values() if "Retain" in str(one.get("DeletionPolicy"))}
    assert stay == {"AWS::S3::Bucket", "AWS::S3::BucketPolicy"}
