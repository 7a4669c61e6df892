"""Everything that a run has made, gone again: the stack, its uploads, and the images on this machine."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from benchmarks.measure.account import Account
from benchmarks.measure.errors import MeasureError
from benchmarks.measure.leftovers import Record
from console.setup.machine import container_client

MINUTES = 30  # that CloudFormation may take: a function in a network takes 20
PAUSE = 1.0
# Seconds that a stack which is still being made may take: what runs in it, such as the health check, would otherwise
# write into log groups that are gone. After that it is deleted all the same.
SETTLE = 60
GONE, MAKING = "DELETE_COMPLETE", ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


def destroy(record: Record, account: Account) -> None:
    """Destroy what the record names. Raises MeasureError where something stays, and botocore's own errors."""
    _delete_stack(account.client("cloudformation"), record.stack)
    for bucket in record.buckets:
        _delete_objects(account.client("s3"), bucket, f"{record.stack}/")
    for repository in record.repositories:
        _delete_images(account.client("ecr"), repository, f"{record.stack}-")
    if record.repositories:
        _remove_local_images(record.stack)


def _delete_stack(client: Any, name: str) -> None:
    began = time.monotonic()
    deadline = began + MINUTES * 60
    asked = seen_gone = 0
    while time.monotonic() < deadline:
        status, reason = _status(client, name)
        if status in (None, GONE):
            seen_gone += 1
            if seen_gone > 1:  # a request that was on its way when the CDK CLI ended may still have made it
                return
        elif status in MAKING and not asked and time.monotonic() < began + SETTLE:
            seen_gone = 0
        elif status == "DELETE_FAILED" and asked > 1:
            raise MeasureError(f"CloudFormation cannot delete {name} ({reason}): {failed(client, name)}")
        elif status != "DELETE_IN_PROGRESS":
            client.delete_stack(StackName=name)
            asked, seen_gone = asked + 1, 0
        time.sleep(PAUSE)
    raise MeasureError(f"CloudFormation has not deleted {name} within {MINUTES} minutes")


def _status(client: Any, name: str) -> tuple[str | None, str]:
    try:
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None, ""
        raise
    return stack["StackStatus"], stack.get("StackStatusReason", "")


def failed(client: Any, name: str) -> str:
    """Say which resources CloudFormation could not make or delete, and why."""
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    found = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    return "; ".join(f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason', '')}" for one in found[:5])


def _delete_objects(client: Any, bucket: str, prefix: str) -> None:
    """Delete every version: the bucket keeps old ones for weeks."""
    try:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            for batch in _batches([{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found], 1000):
                answer = client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise MeasureError(f"s3://{bucket}/{errors[0]['Key']} cannot be deleted: {errors[0]['Message']}")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _delete_images(client: Any, repository: str, prefix: str) -> None:
    try:
        pages = client.get_paginator("list_images").paginate(repositoryName=repository)
        tags = [one["imageTag"] for page in pages for one in page["imageIds"] if "imageTag" in one]
        ours = [{"imageTag": tag} for tag in tags if tag.startswith(prefix)]
        for batch in _batches(ours, 100):
            answer = client.batch_delete_image(repositoryName=repository, imageIds=batch)
            if left := [one for one in answer.get("failures", ()) if one["failureCode"] != "ImageNotFound"]:
                why = f"{left[0]['failureCode']}, {left[0].get('failureReason', '')}"
                raise MeasureError(f"{repository}:{left[0]['imageId'].get('imageTag')} cannot be deleted: {why}")
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise


def _remove_local_images(name: str) -> None:
    """Remove what `cdk deploy` built and tagged here; the layers below stay, as Docker's cache."""
    client = container_client()
    if not shutil.which(client):
        return
    listed = subprocess.run(
        [client, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True, check=False
    )
    ours = [image for image in listed.stdout.split() if f":{name}-" in image or f"cdkasset-{name}-" in image]
    if ours:
        subprocess.run([client, "rmi", "--force", "--no-prune", *ours], capture_output=True, check=False)


def _batches(items: list[dict[str, str]], size: int) -> Iterator[list[dict[str, str]]]:
    return (items[start : start + size] for start in range(0, len(items), size))
