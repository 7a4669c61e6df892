"""Update the index with what a batch writes after its runs: events of the output bucket call a function."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.event_queue import EventQueue

AT_ONCE = 2  # functions that write: the fewer, the fewer collide


class IndexUpdates(EventQueue):
    """The queue of files that arrivals wrote with this bundle. What a run wrote comes in by a rebuild, all at once."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        function: lambda_.Function,
        timeout: Duration,
        bucket: s3.IBucket,
        ours: bool,
        vectors_id: str,
    ) -> None:
        super().__init__(scope, construct_id, key=key, function=function, timeout=timeout, at_once=AT_ONCE)
        self.function = function
        if ours:
            _send_events(bucket)
        self.take(
            "Written",
            "Vectors that the index does not have yet",
            bucket=bucket.bucket_name,
            kinds=["Object Created"],
            keys=[{"prefix": f"{kind}/model={vectors_id}/run=arrivals/"} for kind in ("vectors", "deletions")],
        )


def _send_events(bucket: s3.IBucket) -> None:
    """Make a bucket of ours send its events. CDK's own way would be a function more."""
    resource: Any = bucket.node.default_child
    resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )
