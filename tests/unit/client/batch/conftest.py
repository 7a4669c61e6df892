"""An emulated account with a deployment's batch, for the tests of the client's commands.

The emulator starts no child executions: what a run leaves in its bucket is put there as handler/batch writes it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from openclip_lambda.batch import aws
from openclip_lambda.batch.commands import status
from openclip_lambda.cli import main as cli

REGION, STACK, SOURCE, OUTPUT = "eu-west-1", "openclip", "photos", "photos-vectors"
ROLE = "arn:aws:iam::123456789012:role/machine"
PASS = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
MODEL = "model=0123456789ab"
Run = Callable[..., int]


class Account:
    """The emulated account."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3", region_name=REGION)
        self.machines = boto3.client("stepfunctions", region_name=REGION)
        for name in (SOURCE, OUTPUT):
            self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        made = self.machines.create_state_machine(name="batch", definition=json.dumps(PASS), roleArn=ROLE)
        self.arn = made["stateMachineArn"]

    def deploy(self, stack: str, **outputs: str) -> None:
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        boto3.client("cloudformation", region_name=REGION).create_stack(
            StackName=stack, TemplateBody=json.dumps(template)
        )

    def put(self, name: str, data: bytes = b"PAR1") -> None:
        self.s3.put_object(Bucket=OUTPUT, Key=name, Body=data)

    def plan(self, run: str, shards: int, images: int, **more: Any) -> None:
        facts = {"shards": shards, "images": images, "bytes": 10 * images, "source": f"s3://{SOURCE}/2026/", **more}
        self.put(f"runs/{run}/plan.json", json.dumps(facts).encode())

    def executions(self) -> list[dict[str, Any]]:
        listed = self.machines.list_executions(stateMachineArn=self.arn)["executions"]
        return [dict(self.machines.describe_execution(executionArn=item["executionArn"])) for item in listed]

    def end(self) -> None:
        for item in self.executions():
            self.machines.stop_execution(executionArn=item["executionArn"], error="Killed", cause="by hand")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_PROFILE", "AWS_REGION", aws.STACK, "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr(status, "POLL_SECONDS", 0.0)
    with mock_aws():
        made = Account()
        outputs = {"BatchMachine": made.arn, "BatchBucket": OUTPUT, "BatchSource": f"{SOURCE}/2026/"}
        made.deploy(STACK, **outputs)
        yield made


@pytest.fixture
def run(account: Account) -> Run:
    return lambda *arguments: cli.main(["batch", *arguments, "--stack", STACK])
