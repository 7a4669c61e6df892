"""`-c batch_source=...`: what it adds, what its roles may do, and that without it nothing changes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openclip_lambda.batch import aws

from handler.batch.settings import BatchSettings
from handler.settings import Settings
from infra.errors import PackageError, SettingsError
from infra.settings import StackSettings
from tests.infra import fake_build
from tests.infra.conftest import Synth, Template, resources, synthesized


@pytest.fixture(params=[("image", "x86_64"), ("layer", "arm64")])
def template(request: pytest.FixtureRequest, synth: Synth) -> Template:
    shape, architecture = request.param
    return synth(shape, architecture, batch_source="photos/2026/", batch_concurrency="7")


def function(template: Template, says: str) -> dict[str, Any]:
    (found,) = [item for item in resources(template, "AWS::Lambda::Function") if says in item.get("Description", "")]
    return found


def definition(template: Template) -> dict[str, Any]:
    (machine,) = resources(template, "AWS::StepFunctions::StateMachine")
    parts = machine["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in parts)
    found: dict[str, Any] = json.loads(text)
    return found


def statements(template: Template, function: dict[str, Any]) -> list[dict[str, Any]]:
    role = function["Role"]["Fn::GetAtt"][0]
    policies = [item for item in resources(template, "AWS::IAM::Policy") if {"Ref": role} in item["Roles"]]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def test_without_a_source_nothing_of_a_batch_is_there(synth: Synth) -> None:
    template = synth()
    kinds = {item["Type"] for item in template["Resources"].values()}
    assert not {"AWS::StepFunctions::StateMachine", "AWS::Events::Rule", "AWS::S3::Bucket"} & kinds
    assert len(resources(template, "AWS::SQS::Queue")) == 1


def test_without_a_source_the_other_settings_of_a_batch_are_refused(synth: Synth) -> None:
    others = {"batch_output": "a-bucket", "batch_concurrency": 9, "batch_memory": 4096, "batch_max_failed": 0.1}
    with pytest.raises(SettingsError, match="batch_source=<bucket> nothing is done with batch_output, batch_memory, "):
        synth(**others, batch_tolerated_shards=1, batch_vectors="int8")


def test_the_outputs_are_those_that_the_clients_commands_read(template: Template) -> None:
    names = (aws.OUTPUT_MACHINE, aws.OUTPUT_BUCKET, aws.OUTPUT_SOURCE, aws.OUTPUT_WORKER)
    values = {name: template["Outputs"][name]["Value"] for name in names}
    assert values[aws.OUTPUT_SOURCE] == "photos/2026/"
    functions = {name: item for name, item in template["Resources"].items() if item["Type"] == "AWS::Lambda::Function"}
    assert "batch worker" in functions[values[aws.OUTPUT_WORKER]["Ref"]]["Properties"]["Description"]


def test_formats_of_the_package_are_told_to_the_planner_and_to_who_estimates(tmp_path: Path) -> None:
    build = fake_build.write(tmp_path / "build", image_formats=("avif", "heic"))
    template = synthesized(build, tmp_path / "out", {"batch_source": "photos"})
    assert template["Outputs"][aws.OUTPUT_FORMATS]["Value"] == "avif,heic"
    assert function(template, "Lists the images")["Environment"]["Variables"]["IMAGE_FORMATS"] == "avif,heic"


def test_compaction_has_its_schedule_and_may_change_nothing_but_arrivals(template: Template) -> None:
    (rule,) = [item for item in resources(template, "AWS::Events::Rule") if "ScheduleExpression" in item]
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert [target["Input"] for target in rule["Targets"]] == ['{"compact":{}}']
    compactor, worker = function(template, "batch compaction"), function(template, "batch worker")
    assert compactor["Code"] == worker["Code"]
    assert [compactor.get(name) for name in ("Handler", "ImageConfig")] == [
        worker.get(name) for name in ("Handler", "ImageConfig")
    ]
    changes = [item for item in statements(template, compactor) if "s3:DeleteObject" in item["Action"]]
    assert [resource["Fn::Join"][1][-1] for item in changes for resource in item["Resource"]] == [
        "/vectors/model=*/run=arrivals/*",
        "/deletions/model=*/run=arrivals/*",
        "/compactions/*",
    ]
    assert "photos" not in json.dumps(statements(template, compactor))  # the source is none of its business


def test_what_a_shard_saved_does_not_lie_in_the_bucket_for_ever(template: Template) -> None:
    (bucket,) = resources(template, "AWS::S3::Bucket")
    rules = {rule.get("Prefix", ""): rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["parts/"]["ExpirationInDays"] == 15
    assert not any("ExpirationInDays" in rule for prefix, rule in rules.items() if prefix != "parts/")


def test_the_bucket_outlives_its_stack_but_not_a_first_deployment_that_failed(template: Template) -> None:
    (bucket,) = [item for item in template["Resources"].values() if item["Type"] == "AWS::S3::Bucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    (policy,) = [item for item in template["Resources"].values() if item["Type"] == "AWS::S3::BucketPolicy"]
    assert "aws:SecureTransport" in json.dumps(policy["Properties"])
    assert (policy["DeletionPolicy"], policy["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_the_worker_is_the_same_package_with_another_entry_point(template: Template) -> None:
    worker, api = function(template, "batch worker"), function(template, "OpenCLIP embeddings")
    if "ImageUri" in api["Code"]:
        assert worker["Code"] == api["Code"]
        assert worker["ImageConfig"] == {"Command": ["handler.batch.app.lambda_handler"]}
    else:
        assert worker["Handler"] == "handler.batch.app.lambda_handler"
        assert (worker["Layers"], worker["Code"]) == (api["Layers"], api["Code"])
    assert worker["Architectures"] == api["Architectures"]
    variables = worker["Environment"]["Variables"]
    own = {"OPENCLIP_BATCH_OUTPUT", "OPENCLIP_BATCH_MAX_FAILED", "OPENCLIP_BATCH_VECTORS"}
    assert {name: value for name, value in variables.items() if name not in own} == api["Environment"]["Variables"]
    settings = BatchSettings.from_env({**variables, "OPENCLIP_BATCH_OUTPUT": "bucket"})
    assert settings == BatchSettings("bucket", StackSettings().batch_max_failed)
    assert Settings.from_env(variables) == Settings.from_env(api["Environment"]["Variables"])


def test_the_machine_plans_and_gives_each_plan_file_to_a_worker(template: Template) -> None:
    states = definition(template)["States"]
    more, nothing = states["More to list"]["Choices"]
    assert more == {"Variable": "$.planned.more", "BooleanEquals": True, "Next": "Plan"}
    assert nothing == {"Variable": "$.planned.shards", "NumericEquals": 0, "Next": "Nothing to embed"}
    assert states["Nothing to embed"] == {"Type": "Succeed"}
    shards = states["Shards"]
    assert (shards["MaxConcurrency"], shards["ToleratedFailurePercentage"]) == (7, 5)
    assert shards["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert shards["ItemReader"]["Parameters"]["Prefix.$"] == "$.planned.prefix"
    assert shards["ItemSelector"] == {"plan.$": "$$.Map.Item.Value.Key"}
    assert shards["ResultWriter"]["Parameters"]["Prefix"] == "results"
    retriers = shards["ItemProcessor"]["States"]["Embed"]["Retry"]
    full, busy, meant, transient = retriers  # the first that names an error counts
    assert full["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
    assert (full["JitterStrategy"], busy["JitterStrategy"], busy["MaxAttempts"]) == ("FULL", "FULL", 10)
    assert "ShardError" in meant["ErrorEquals"]
    assert meant["MaxAttempts"] == 0  # it would fail again
    assert transient["ErrorEquals"] == ["States.TaskFailed", "States.Timeout"]  # a killed worker's too
    assert transient["MaxAttempts"] == 5


def test_what_comes_and_what_goes_is_put_in_a_queue_with_a_dead_letter_queue(template: Template) -> None:
    (rule,) = [item for item in resources(template, "AWS::Events::Rule") if "EventPattern" in item]
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created", "Object Deleted", "Object Restore Completed"],
        "detail": {"bucket": {"name": ["photos"]}, "object": {"key": [{"prefix": "2026/"}]}},
    }
    (mapping,) = resources(template, "AWS::Lambda::EventSourceMapping")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}
    (queue,) = [item for item in resources(template, "AWS::SQS::Queue") if "RedrivePolicy" in item]
    assert queue["VisibilityTimeout"] >= 6 * function(template, "batch worker")["Timeout"]  # AWS Lambda's guide on SQS
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5  # the same: a message that was throttled counts, too
    assert mapping["MaximumBatchingWindowInSeconds"] <= 30  # an arrival is searchable within a minute


def test_the_roles_may_read_the_source_below_its_prefix_and_write_to_the_output_alone(template: Template) -> None:
    worker = statements(template, function(template, "batch worker"))
    reads = [item for item in worker if item["Action"] == "s3:GetObject"]
    assert "photos/2026/*" in json.dumps(reads)
    deletes = [item["Resource"] for item in worker if "s3:DeleteObject" in item["Action"]]
    assert [resource["Fn::Join"][1][-1] for resource in deletes] == ["/parts/*"]  # what it decodes comes from strangers
    for name in ("batch worker", "Lists the images"):
        actions = json.dumps([item["Action"] for item in statements(template, function(template, name))])
        assert '"s3:*"' not in actions
    assert "s3:Delete" not in json.dumps(statements(template, function(template, "Lists the images")))
    (bucket,) = resources(template, "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]


def test_a_bucket_of_the_users_takes_the_results(synth: Synth) -> None:
    template = synth(batch_source="photos", batch_output="my-vectors")
    assert resources(template, "AWS::S3::Bucket") == []
    variables = function(template, "batch worker")["Environment"]["Variables"]
    assert variables["OPENCLIP_BATCH_OUTPUT"] == "my-vectors"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_source", "s3://photos"),
        ("batch_source", "Photos"),
        ("batch_source", "photos/*.jpg"),
        ("batch_source", "photos\n"),
        ("batch_source", "photos/" + "照" * 301),  # no key of S3 is as long
        ("batch_output", "a/b"),
        ("batch_concurrency", "0"),
        ("batch_memory", "100"),
        ("batch_max_failed", "2"),
        ("batch_tolerated_shards", "101"),
        ("batch_vectors", "binary"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        StackSettings.from_context({name: value})


@pytest.mark.parametrize("odd", ["*", "?", "${aws:username}", '"', "\\", "\n", "\x01"])
def test_a_prefix_that_a_policy_would_take_for_something_else_is_refused_with_what_to_give(odd: str) -> None:
    with pytest.raises(SettingsError, match=r"IAM would take .* give batch_source=photos/2026/, and start runs with"):
        StackSettings.from_context({"batch_source": f"photos/2026/{odd}/a"})


def test_a_prefix_past_latin_1_comes_into_no_policy_and_is_told(build_dir: Any, tmp_path: Path) -> None:
    """IAM refuses a policy with such a character (botocore's model of it, policyDocumentType)."""
    from aws_cdk import App
    from botocore.loaders import Loader

    from infra.assembly import assemble

    given = {"build_dir": str(build_dir("image", "x86_64")), "batch_source": "photos/été $/照片/"}
    app = App(context=given, outdir=str(tmp_path / "out"))
    stack = assemble(app)
    app.synth()

    template = json.loads((tmp_path / "out" / f"{stack.stack_name}.template.json").read_text())
    pattern = Loader().load_service_model("iam", "service-2")["shapes"]["policyDocumentType"]["pattern"]
    documents = [item["PolicyDocument"] for item in resources(template, "AWS::IAM::Policy")]
    assert documents
    assert all(re.fullmatch(pattern, json.dumps(document, ensure_ascii=False)) for document in documents)
    reads = json.dumps(statements(template, function(template, "batch worker")), ensure_ascii=False)
    assert "photos/été $/*" in reads
    (rule,) = [item for item in resources(template, "AWS::Events::Rule") if "EventPattern" in item]
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"prefix": "été $/照片/"}]}
    assert function(template, "Lists the images")["Environment"]["Variables"]["SOURCE_PREFIX"] == "été $/照片/"
    said = [entry.data for entry in stack.node.metadata if entry.type == "aws:cdk:info"]
    assert any("may read all of photos/été $/." in str(one) for one in said)


def test_a_batch_is_refused_where_the_function_has_no_way_out() -> None:
    with pytest.raises(SettingsError, match="vpc=isolated exclude each other"):
        StackSettings.from_context({"batch_source": "photos", "vpc": "isolated"})


def test_a_package_without_what_a_batch_needs_is_refused_with_the_command(build_dir: Any, tmp_path: Path) -> None:
    from aws_cdk import App

    from infra.assembly import assemble

    build = fake_build.write(tmp_path / "build", extras=())
    with pytest.raises(PackageError, match="python -m layer package --with batch"):
        assemble(App(context={"build_dir": str(build), "batch_source": "photos"}, outdir=str(tmp_path / "out")))
