"""`python -m infra.bucket_events my-photos`: let a bucket send its events to EventBridge, beside what it notifies now.

A bucket has one notification configuration, which S3 replaces as a whole. So it is read, EventBridge is added, and it
is written back and compared. It is a command and no part of the stack: nothing that is deployed may change the
notifications of a bucket that is not the stack's own.
"""

import sys
from collections.abc import Sequence
from typing import Any

from console.parser import Parser
from console.run import run
from console.setup.aws import region_of
from infra.errors import InfraError

EVENTBRIDGE = "EventBridgeConfiguration"


class BucketEventsError(InfraError):
    """The bucket's notifications cannot be read or written, or were changed by somebody else meanwhile."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Turn the events on, and say what was done; returns the exit status."""
    return run(lambda: _command(arguments), (InfraError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m infra.bucket_events", description=__doc__)
    parser.add_argument("bucket", help="the bucket of batch_source, without a prefix, or of batch_output")
    parser.add_argument("--profile", help="of the AWS configuration")
    options = parser.parse_args(arguments)
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    try:
        session = Session(profile=options.profile)
        region = region_of(session)
        client = session.create_client("s3", region_name=region)
        where = _check_region(client, options.bucket, region)
        account = session.create_client("sts", region_name=where).get_caller_identity()["Account"]
        _check_owner(client, options.bucket, account)
        others = turn_on(client, options.bucket)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise BucketEventsError(
            f"S3 answered {code} for {options.bucket}: this needs s3:GetBucketLocation, s3:GetBucketNotification and "
            "s3:PutBucketNotification on the bucket, by credentials of the account that owns it. The stack has to be "
            "in that account, too: no other gets the events"
        ) from error
    except BotoCoreError as error:
        raise BucketEventsError(
            f"AWS cannot be asked ({error}): check ~/.aws/config, AWS_PROFILE and the network"
        ) from error
    when = "already" if others is None else "now"
    kept = f"; {others} other notifications are as before" if others else ""
    print(f"{options.bucket} sends its events to EventBridge {when}, to account {account} alone{kept}")


def _check_region(client: Any, bucket: str, ours: str | None) -> str:
    """Return the bucket's region. Raises BucketEventsError where its events cannot reach a stack of this region.

    Amazon S3, "Using EventBridge": events go to the default bus of the bucket's own region.
    """
    told = client.get_bucket_location(Bucket=bucket).get("LocationConstraint")
    theirs: str = {None: "us-east-1", "EU": "eu-west-1"}.get(told, told)  # older names: S3, GetBucketLocation
    if ours and theirs != ours:
        raise BucketEventsError(
            f"{bucket} is in {theirs}, and this is for a stack in {ours}: S3 sends events within the bucket's region "
            f"alone. Deploy the stack there (AWS_REGION={theirs}), and give AWS_REGION={theirs} to this command, too"
        )
    return theirs


def _check_owner(client: Any, bucket: str, account: str) -> None:
    """Raise BucketEventsError for a bucket of another account, whose policy may allow all the same to write to it.

    Amazon S3, GetBucketLocation, which was allowed just now: with another ExpectedBucketOwner than the owner it is not.
    """
    from botocore.exceptions import ClientError

    try:
        client.get_bucket_location(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "AccessDenied":
            raise
        raise BucketEventsError(
            f"{bucket} is of another account than these credentials ({account}): S3 sends events to the account that "
            "owns the bucket alone. Deploy the stack there, and run this with credentials of that account; or leave "
            "this out, and start runs with `since` for what is new"
        ) from error


def turn_on(client: Any, bucket: str) -> int | None:
    """Add EventBridge to a bucket's notifications; returns how many others there are, or None where it was on.

    Raises BucketEventsError where the others are not as they were, and botocore's errors.
    """
    before = _read(client, bucket)
    if EVENTBRIDGE in before:
        return None
    wanted = {**before, EVENTBRIDGE: {}}
    # The others' destinations were accepted when they were set: one that is gone by now is not this command's business.
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=wanted, SkipDestinationValidation=True
    )
    if (after := _read(client, bucket)) != wanted:
        raise BucketEventsError(
            f"{bucket}: its notifications were changed by somebody else at the same time. Before: {before}. Now: "
            f"{after}. Put back what is missing, and run this again"
        )
    return sum(len(entries) for entries in before.values())


def _read(client: Any, bucket: str) -> dict[str, Any]:
    answer = client.get_bucket_notification_configuration(Bucket=bucket)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


if __name__ == "__main__":
    sys.exit(main())
