"""A stand-in for the CDK CLI: a stack of seconds with one resource of each kind that a run must not leave behind.

Its function answers as ours does, without a model. Uploads are an object and an image, where `cdk deploy` puts its own.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from botocore.session import Session

REGION, ACCOUNT = "eu-west-1", "000000000000"
BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
REPOSITORY = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"
CODE = """
import json
def handler(event, context):
    print("REPORT RequestId: small\\tDuration: 1.50 ms\\tBilled Duration: 2 ms\\tMax Memory Used: 40 MB")
    return {"data": [{}] * len(event["input"])}
"""
DEPLOY_SECONDS = 2  # long enough to be interrupted


def wrapper(folder: Path) -> Path:
    """Write a program that runs this module with the tests' Python, and return it."""
    path = folder / "small-cdk"
    root = Path(__file__).parents[2]
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -m tests.e2e.small_cdk "$@"\n')
    path.chmod(0o755)
    return path


def main(arguments: list[str]) -> None:
    """Run `synth` or `deploy`, with the options that are used of each."""
    if arguments[0] == "synth":
        _synth(Path(arguments[arguments.index("--output") + 1]), arguments)
    else:
        results = Path(arguments[arguments.index("--outputs-file") + 1])
        _deploy(Path(arguments[arguments.index("--app") + 1]), results)


def _synth(out: Path, arguments: list[str]) -> None:
    out.mkdir(parents=True)
    name = next(one for one in arguments if one.startswith("stack_name=")).partition("=")[2]
    place = {"bucketName": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}", "objectKey": f"{name}/code.zip"}
    image = {"repositoryName": REPOSITORY, "imageTag": f"{name}-image"}
    assets = {
        "files": {"code": {"destinations": {"current": place}}},
        "dockerImages": {"image": {"destinations": {"current": image}}},
    }
    (out / f"{name}.assets.json").write_text(json.dumps(assets))
    (out / f"{name}.template.json").write_text(json.dumps(_template(name)))


def _template(name: str) -> dict[str, Any]:
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    role = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [assume]}}
    function = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Code": {"ZipFile": CODE},
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Environment": {"Variables": {"SMALL": "1"}},
        "SnapStart": {"ApplyOn": "PublishedVersions"},
        "LoggingConfig": {"LogGroup": {"Ref": "Log"}},
        "Timeout": 20,
    }
    return {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"{name}-log"}},
            "Key": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": f"{name}-key"}},
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{name}-bucket"}},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        },
        "Outputs": {"FunctionName": {"Value": {"Ref": "Function"}}},
    }


def _deploy(out: Path, results: Path) -> None:
    (template,) = out.glob("*.template.json")
    name = template.name.removesuffix(".template.json")
    session = Session()
    session.create_client("s3").put_object(Bucket=BUCKET, Key=f"{name}/code.zip", Body=b"uploaded")
    session.create_client("ecr").put_image(
        repositoryName=REPOSITORY, imageTag=f"{name}-image", imageManifest=json.dumps({"config": name})
    )
    time.sleep(DEPLOY_SECONDS)
    client = session.create_client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=template.read_text(), Capabilities=["CAPABILITY_IAM"])
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    stack = client.describe_stacks(StackName=name)["Stacks"][0]
    results.write_text(json.dumps({name: {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}}))


if __name__ == "__main__":
    main(sys.argv[1:])
