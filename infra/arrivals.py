"""What changes in the source bucket: EventBridge's events in a queue, and what cannot be handled in another."""

from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge
from infra.settings import StackSettings

EVENTS = ("Object Created", "Object Deleted")  # docs.aws.amazon.com: AmazonS3, "Using EventBridge"
RETENTION = Duration.days(14)
TRIES = 3
TIMEOUTS = 6  # of the worker, for which a message is hidden: AWS Lambda, "Using SQS", "Queue setup"
AT_ONCE = 5  # workers on the queue: the rest of the account's concurrency is left to the API and to runs
MESSAGES = 100  # of one invocation
WINDOW = Duration.seconds(5)  # how long an arrival waits for others


class Arrivals(Construct):
    """The rule, the queue and its dead-letter queue. The source bucket has to send its events to EventBridge."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StackSettings,
        key: kms.IKey,
        worker: lambda_.IFunction,
        worker_timeout: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        self.poison = encrypted_queue(self, "Poison", key)
        self.queue = encrypted_queue(
            self,
            "Queue",
            key,
            visibility_timeout=Duration.seconds(TIMEOUTS * worker_timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=TRIES, queue=self.poison),
        )
        acknowledge(self.poison, "SQS3", "this queue is where failures go: nothing reads it and could fail again")
        self._rule(*settings.batch_bucket_and_prefix)
        worker.add_event_source(
            sources.SqsEventSource(
                self.queue,
                batch_size=MESSAGES,
                max_batching_window=WINDOW,
                max_concurrency=AT_ONCE,
                report_batch_item_failures=True,
            )
        )

    def _rule(self, bucket: str, prefix: str) -> None:
        keys = {"object": {"key": [{"prefix": prefix}]}} if prefix else {}
        pattern = events.EventPattern(
            source=["aws.s3"], detail_type=list(EVENTS), detail={"bucket": {"name": [bucket]}, **keys}
        )
        rule = events.Rule(self, "Changed", description=f"Objects of {bucket} that came or went", event_pattern=pattern)
        rule.add_target(targets.SqsQueue(self.queue))


def encrypted_queue(scope: Construct, construct_id: str, key: kms.IKey, **options: Any) -> sqs.Queue:
    """Make a queue whose messages are kept for RETENTION, encrypted with a key of the stack's."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=RETENTION,
        removal_policy=RemovalPolicy.DESTROY,
        **options,
    )
