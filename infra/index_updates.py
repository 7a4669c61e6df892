"""What a batch writes after its runs: events of the output bucket in a queue, and a function that updates the index."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.arrivals import TIMEOUTS, TRIES, encrypted_queue
from infra.nag import acknowledge

AT_ONCE = 2  # functions that write: the fewer, the fewer collide
MESSAGES = 100  # of one invocation: each is one file
WINDOW = Duration.seconds(5)  # how long an update waits for others


class IndexUpdates(Construct):
    """The rule, the queue and its dead-letter queue. The output bucket sends its events to EventBridge."""

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
        manifest_sha256: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = function
        self.poison = encrypted_queue(self, "Poison", key)
        self.queue = encrypted_queue(
            self,
            "Queue",
            key,
            visibility_timeout=Duration.seconds(TIMEOUTS * timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=TRIES, queue=self.poison),
        )
        acknowledge(self.poison, "SQS3", "this queue is where failures go: nothing reads it and could fail again")
        if ours:
            _send_events(bucket)
        self._rule(bucket, manifest_sha256[:12])
        function.add_event_source(
            sources.SqsEventSource(
                self.queue,
                batch_size=MESSAGES,
                max_batching_window=WINDOW,
                max_concurrency=AT_ONCE,
                report_batch_item_failures=True,
            )
        )

    def _rule(self, bucket: s3.IBucket, model: str) -> None:
        """Take what arrivals wrote with this bundle. What a run wrote comes in by a rebuild, all at once."""
        prefixes = [{"prefix": f"{kind}/model={model}/run=arrivals/"} for kind in ("vectors", "deletions")]
        pattern = events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={"bucket": {"name": [bucket.bucket_name]}, "object": {"key": prefixes}},
        )
        rule = events.Rule(
            self, "Written", description="Vectors that the index does not have yet", event_pattern=pattern
        )
        rule.add_target(targets.SqsQueue(self.queue))


def _send_events(bucket: s3.IBucket) -> None:
    """Make a bucket of ours send its events. CDK's own way would be a function more."""
    resource: Any = bucket.node.default_child
    resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )
