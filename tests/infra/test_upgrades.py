"""What a deployment over an existing stack, or beside another one, leaves as it is: the address, the key, the data."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra import stack_names
from tests.infra.conftest import Synth
from tests.infra.test_partitions import EVERYTHING

# CloudFormation deletes what it no longer finds under its logical id, and makes another one: another address, another
# API key, an empty bucket.
KEPT = {
    "AWS::ApiGatewayV2::Api": "HttpApi4E1D4184",
    "AWS::SecretsManager::Secret": "ApiKeySecret5E0E1F3C",
    "AWS::KMS::Key": "LogsKeyB5D1D597",
    "AWS::S3::Bucket": "BatchOutput2B27D97F",
}
# Properties with which a resource has a name of its own in the account; a change of it is another resource.
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}


@pytest.mark.parametrize("settings", [*EVERYTHING, {}], ids=["api", "lance", "s3vectors", "default"])
def test_whatever_the_settings_the_address_the_key_and_the_bucket_stay_and_nothing_has_a_name_that_another_stack_has(
    synth: Synth, settings: dict[str, Any]
) -> None:
    made = synth("layer", **settings)["Resources"]

    kept = {logical: item["Type"] for logical, item in made.items() if item["Type"] in KEPT}
    assert kept == {KEPT[kind]: kind for kind in kept.values()}
    assert "AWS::ApiGatewayV2::Api" in kept.values()
    given = [item["Properties"].get(NAMES.get(item["Type"])) for item in made.values() if "Properties" in item]
    assert [name for name in given if name and "AWS::StackId" not in json.dumps(name)] == []


def published(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of functions by the version that is published of each, without an image's address.

    Lambda compares an image by its digest: the same image under another name is the same code (PublishVersion).
    """
    versions = {logical: item for logical, item in made.items() if item["Type"] == "AWS::Lambda::Version"}
    functions = {logical: made[one["Properties"]["FunctionName"]["Ref"]] for logical, one in versions.items()}
    return {
        logical: {name: value for name, value in one["Properties"].items() if name != "Code"}
        for logical, one in functions.items()
    }


@pytest.mark.parametrize("names", [{"asset_prefix": "photos"}, {"@aws-cdk/core:bootstrapQualifier": "photos"}])
def test_other_names_of_uploads_alone_are_another_function_to_lambda_where_they_are_to_cdk(
    names: dict[str, str], synth: Synth
) -> None:
    """Else Lambda gives no version, and CloudFormation fails: "A version for this Lambda function exists"."""
    settings = {"batch_source": "photos", "search": "lance"}
    old = published(synth(**settings)["Resources"])
    new = published(synth(**settings, **names, out="prefixed")["Resources"])

    assert len(old) == len(new) == 2
    assert not set(old) & set(new)
    assert [properties for properties in new.values() if properties in old.values()] == []


def test_stacks_are_described_as_those_that_are_deployed_or_make_deploy_would_take_them_for_somebody_elses(
    synth: Synth, tmp_path: Path
) -> None:
    settings = {"stack_name": "mine", "batch_source": "photos", "search": "s3vectors"}
    synth(**settings)

    told = {path.name.partition(".")[0]: json.loads(path.read_text())["Description"] for path in templates(tmp_path)}
    assert told == {
        "mine": "OpenCLIP embeddings from a verified offline bundle",
        "mine-vectors": "OpenCLIP: vectors in S3 Vectors",
    }
    assert told == dict(stack_names.described(settings))
    assert stack_names.described({}) == (("openclip", told["mine"]),)


def templates(root: Path) -> list[Path]:
    return list((root / "cdk.out").glob("*.template.json"))


def needs(made: dict[str, Any], logical: str, found: set[str] | None = None) -> set[str]:
    """Return what CloudFormation makes or updates before a resource: what it names, and what it waits for."""
    found = set() if found is None else found
    for one in (name for name in made if f'"{name}"' in json.dumps(made[logical]) and name not in found):
        found.add(one)
        needs(made, one, found)
    return found


@pytest.mark.parametrize("search", [{}, {"search": "lance"}, {"search": "s3vectors"}], ids=["batch", "lance", "s3v"])
@pytest.mark.parametrize("shape", ["image", "layer"])
def test_what_works_with_another_bundle_beside_the_api_changes_when_that_bundle_has_passed_its_health_check(
    synth: Synth, shape: str, search: dict[str, str]
) -> None:
    """Or what arrives before a deployment is rolled back is embedded with a bundle that nothing searches.

    Amazon CloudFormation, "DependsOn": the one is created, and updated, when the other is done.
    """
    made = synth(shape, batch_source="photos", **search)["Resources"]
    aliases = {logical for logical, item in made.items() if item["Type"] == "AWS::Lambda::Alias"}
    before = {one for alias in aliases for one in needs(made, alias)} | aliases
    gates = [item["Properties"] for item in made.values() if item["Type"] == "Custom::HealthGate"]
    assert len(aliases) == len(gates) == 1 + bool(search)

    bundle = gates[0]["ManifestSha256"][:12]
    beside = {logical for logical, item in made.items() if bundle in json.dumps(item)} - before

    kinds = sorted(made[logical]["Type"].rpartition("::")[2] for logical in beside)
    assert kinds == [*["Function"] * (4 if search else 2), *(["Rule"] if search else []), "StateMachine"]
    assert [logical for logical in beside if not aliases <= needs(made, logical)] == []
    # A role has no versions: the version that serves meanwhile has the rights that the new template gives.
    assert [logical for logical in before if "Policy" in made[logical]["Type"] and bundle in str(made[logical])] == []


def test_a_log_that_another_service_delivers_has_the_name_that_cloudwatch_logs_wants(synth: Synth) -> None:
    """Amazon CloudWatch Logs: one policy names all other log groups of that kind, and takes 5,120 characters.

    AWS Step Functions, "Avoiding Amazon CloudWatch Logs resource policy size restrictions". API Gateway fails with
    "Policy document length breaking Cloudwatch Logs Constraints" where an account has many APIs.
    """
    made = synth(batch_source="photos")["Resources"]
    logged = {"ApiGatewayV2::Stage": "AccessLogSettings", "StepFunctions::StateMachine": "LoggingConfiguration"}
    kinds = [(item["Type"].removeprefix("AWS::"), item) for item in made.values()]
    written = [item["Properties"][logged[kind]] for kind, item in kinds if kind in logged]
    groups = {name for one in written for name in made if f'"{name}"' in json.dumps(one)}

    assert len(groups) == 2
    for group in groups:
        begin, *_, own = made[group]["Properties"]["LogGroupName"]["Fn::Join"][1]
        assert begin.startswith("/aws/vendedlogs/openclip/")
        assert "AWS::StackId" in json.dumps(own)
