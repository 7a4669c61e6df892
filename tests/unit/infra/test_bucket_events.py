"""`python -m infra.bucket_events`: EventBridge is added to a bucket's notifications; nothing else of them changes."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.s3.models import s3_backends

from infra import bucket_events
from tests.documents import marked

BUCKET = "photos"
READ = bucket_events._read


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        monkeypatch.setattr(bucket_events, "_read", lambda asked, _bucket: notifications(asked))
        yield client


def notifications(s3: Any) -> dict[str, Any]:
    """As S3 answers. (moto keeps EventBridge's part, and leaves it out of its answer.)"""
    found = READ(s3, BUCKET)
    kept = s3_backends["123456789012"]["aws"].buckets[BUCKET].notification_configuration
    return {**found, "EventBridgeConfiguration": {}} if kept and kept.event_bridge is not None else found


def with_a_queue(s3: Any) -> dict[str, Any]:
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="theirs")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rules = [{"Name": "prefix", "Value": "in/"}]
    theirs = {
        "Id": "theirs",
        "QueueArn": arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [theirs]}, SkipDestinationValidation=True
    )
    return notifications(s3)


@pytest.mark.parametrize(
    ("region", "constraint", "named"),
    [("eu-west-1", "eu-central-1", "eu-central-1"), ("eu-west-1", None, "us-east-1"), ("us-east-1", "EU", "eu-west-1")],
)
def test_a_bucket_whose_events_stay_in_another_region_is_refused(
    s3: Any,
    region: str,
    constraint: str | None,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Amazon S3, GetBucketLocation: no constraint is us-east-1, and EU is eu-west-1."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    answer = {"LocationConstraint": constraint, "Account": "123456789012"}
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", lambda *_: answer)
    assert bucket_events.main([BUCKET]) == 1
    told = capsys.readouterr().err
    assert f"photos is in {named}, and this is for a stack in {region}" in told
    assert f"AWS_REGION={named}" in told
    monkeypatch.setenv("AWS_REGION", named)  # as it was told
    monkeypatch.setattr("infra.bucket_events.turn_on", lambda *_: None)
    assert bucket_events.main([BUCKET]) == 0


def test_a_bucket_of_another_account_is_refused_and_left_as_it_is(
    s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its policy may allow to change its notifications. Amazon S3: events go to the account that owns the bucket.

    GetBucketLocation: with another ExpectedBucketOwner than the owner, the request is answered with 403, AccessDenied.
    """
    call = BaseClient._make_api_call

    def answered(client: Any, operation: str, asked: dict[str, Any]) -> Any:
        if asked.get("ExpectedBucketOwner", "111122223333") != "111122223333":
            raise ClientError({"Error": {"Code": "AccessDenied"}}, operation)
        return call(client, operation, asked)

    monkeypatch.setattr(BaseClient, "_make_api_call", answered)

    assert bucket_events.main([BUCKET]) == 1
    told = capsys.readouterr()
    assert "photos is of another account than these credentials (123456789012)" in told.err  # as moto names its own
    assert told.out == ""
    assert notifications(s3) == {}


def test_it_is_turned_on_and_a_second_time_changes_nothing(s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bucket_events.main([BUCKET]) == 0
    assert notifications(s3) == {"EventBridgeConfiguration": {}}
    assert bucket_events.main([BUCKET]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "photos sends its events to EventBridge now, to account 123456789012 alone",
        "photos sends its events to EventBridge already, to account 123456789012 alone",
    ]


def test_the_buckets_other_notifications_stay_as_they_are(s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = with_a_queue(s3)
    assert bucket_events.main([BUCKET]) == 0
    assert notifications(s3) == {**before, "EventBridgeConfiguration": {}}
    assert "1 other notifications are as before" in capsys.readouterr().out


def test_the_command_for_an_output_of_the_users_own_keeps_what_that_bucket_notifies(s3: Any) -> None:
    """S3, PutBucketNotificationConfiguration: it replaces the existing configuration as a whole."""
    before = with_a_queue(s3)
    [block] = marked(__file__, "docs/collections.md")
    [*program, bucket] = block.text.removeprefix("$ ").split()

    assert program == ["python", "-m", bucket_events.__name__]
    assert bucket_events.main([BUCKET if bucket == "<batch_output>" else bucket]) == 0
    assert notifications(s3) == {**before, "EventBridgeConfiguration": {}}


def test_a_change_at_the_same_time_is_told_with_what_was_there(s3: Any) -> None:
    before = with_a_queue(s3)
    put = s3.put_bucket_notification_configuration

    class Meanwhile:
        """Somebody writes right after this command."""

        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_bucket_notification_configuration(self, **asked: Any) -> None:
            put(**asked)
            put(Bucket=BUCKET, NotificationConfiguration={})

    with pytest.raises(bucket_events.BucketEventsError, match="changed by somebody else") as told:
        bucket_events.turn_on(Meanwhile(), BUCKET)
    assert before["QueueConfigurations"][0]["QueueArn"] in str(told.value)


def test_what_s3_refuses_is_told_with_the_rights_that_are_missing(
    s3: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetBucketNotificationConfiguration")

    monkeypatch.setattr(bucket_events, "_read", refuse)
    assert bucket_events.main([BUCKET]) == 1
    assert (
        "AccessDenied for photos: this needs s3:GetBucketLocation, s3:GetBucketNotification" in capsys.readouterr().err
    )
