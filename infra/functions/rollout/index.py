"""A custom resource of CloudFormation: a new version must answer its deep health check before anything calls it.

Runs on Lambda's own Python runtime, which brings boto3. A failure here makes CloudFormation roll the deployment back.
"""

import json
import time
import urllib.request
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Of Invoke, what passes by itself: AWS Lambda's API reference says to wait, or nobody but Lambda is to blame.
NOT_YET = (
    # a snapshot is being taken, or every place of the reserved concurrency is busy
    *("ResourceConflictException", "SnapStartNotReadyException", "TooManyRequestsException"),
    # a network interface is being made: vpc=isolated
    *("ENINotReadyException", "ResourceNotReadyException", "EC2ThrottledException"),
    # Lambda is getting the image ready, or has failed itself
    *("CodeArtifactUserPendingException", "CodeArtifactUserDeletedException"),
    *("SnapStartRegenerationFailureException", "ServiceException"),
)
PAUSE_SECONDS = 2
RESPONSE_SECONDS = 20  # kept for telling CloudFormation, which otherwise waits for its own limit
HEALTH = {
    "version": "2.0",
    "routeKey": "GET /health",
    "rawPath": "/health",
    "rawQueryString": "deep=true",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/health"}, "stage": "$default"},
    "isBase64Encoded": False,
    "openclip": "gate",  # no gateway sends it: own authentication of the deployment's is for those who come through one
}


class UnhealthyError(Exception):
    """The new version did not answer, or not as what was deployed."""


def handler(event: dict[str, Any], context: Any) -> None:
    """Handle Create and Update by checking, Delete by doing nothing; tell CloudFormation the outcome in any case."""
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete" and not _goes_back(event):
            properties = event["ResourceProperties"]
            check(properties["FunctionVersion"], properties["ManifestSha256"], _deadline(context))
    except Exception as error:  # noqa: BLE001 - whatever it is, CloudFormation must hear of it or it waits for an hour
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
        print(reason)
    _answer(event, status, reason)


def _goes_back(event: dict[str, Any]) -> bool:
    """Whether CloudFormation rolls back to a version that was checked when it was deployed.

    A check that fails there, since every place is busy or that version is ill, would leave the stack in
    UPDATE_ROLLBACK_FAILED, and the alias on the new version. Lambda's numbers of versions only rise. An image in the
    place of a zip is another function, whose numbers tell nothing.
    """
    old = str(event.get("OldResourceProperties", {}).get("FunctionVersion", "")).rpartition(":")
    new = str(event["ResourceProperties"]["FunctionVersion"]).rpartition(":")
    if old[0] != new[0]:
        return bool(old[0]) and _rolls_back(event["StackId"])
    return old[2].isdecimal() and new[2].isdecimal() and int(new[2]) < int(old[2])


def _rolls_back(stack: str) -> bool:
    """Whether a stack is being rolled back; False where CloudFormation does not say, and the version is checked."""
    try:
        [found] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        print(f"the stack's status is not told ({error}): the version is checked")
        return False
    return "ROLLBACK" in found["StackStatus"]


def check(function: str, manifest_sha256: str, deadline: float) -> None:
    """Ask `GET /health?deep=true` of one version. Raises UnhealthyError with what it said instead of being healthy.

    `deadline` is a time.monotonic().
    """
    answer = _invoke(function, deadline)
    status, report = answer.get("statusCode"), json.loads(answer.get("body") or "{}")
    if status != 200 or report.get("status") != "ok":
        raise UnhealthyError(f"GET /health?deep=true answered {status}: {json.dumps(report)[:2000]}")
    if report.get("manifest_sha256") != manifest_sha256:
        raise UnhealthyError(f"it serves manifest {report.get('manifest_sha256')}, but {manifest_sha256} was deployed")


def _invoke(function: str, deadline: float) -> dict[str, Any]:
    config = Config(read_timeout=deadline - time.monotonic(), retries={"total_max_attempts": 1})
    client = boto3.client("lambda", config=config)
    while True:
        try:
            response = client.invoke(FunctionName=function, Payload=json.dumps(HEALTH).encode())
        except ClientError as error:
            if error.response["Error"]["Code"] not in NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
            continue
        payload = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise UnhealthyError(f"the health check ended with {json.dumps(payload)[:2000]}{_advice(payload)}")
        return dict(payload)


def _advice(payload: Any) -> str:
    """What to do about a check that Lambda cut off at the function's own timeout."""
    if "timed out" not in str(payload).lower():
        return ""
    return (
        ". Loading and hashing this bundle takes longer than the function's timeout: set direct_invokes=true, and "
        "timeout=900 or less (docs/deploy.md)"
    )


def _deadline(context: Any) -> float:
    return float(time.monotonic() + context.get_remaining_time_in_millis() / 1000 - RESPONSE_SECONDS)


def _answer(event: dict[str, Any], status: str, reason: str) -> None:
    body = {
        "Status": status,
        "Reason": reason[:3000],  # CloudFormation takes a response of 4 KB
        "PhysicalResourceId": event.get("PhysicalResourceId", "rollout"),
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = urllib.request.Request(  # noqa: S310 - the signed S3 address that CloudFormation gave
        event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=RESPONSE_SECONDS).close()  # noqa: S310
