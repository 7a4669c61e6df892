"""Events of a bucket for a function: a rule, a queue, and a queue for what cannot be handled."""

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

RETENTION = Duration.days(14)
# Each time that Lambda takes a message counts, also where no place is free for it: AWS Lambda, "Using SQS", asks for 5.
TRIES = 5
TIMEOUTS = 6  # of the function, for which a message is hidden: AWS Lambda, "Using SQS", "Queue setup"
SAME_ACCOUNT = "@aws-cdk/aws-events:eventsTargetQueueSameAccount"  # a feature flag of CDK
MESSAGES = 100  # of one invocation
WINDOW = Duration.seconds(5)  # how long an event waits for others


class EventQueue(Construct):
    """`queue` calls the function, `at_once` times at most; `poison` keeps what failed TRIES times."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        function: lambda_.IFunction,
        timeout: Duration,
        at_once: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.node.set_context(SAME_ACCOUNT, True)  # without it EventBridge may send for a rule of any account
        self.poison = _encrypted(self, "Poison", key)
        self.queue = _encrypted(
            self,
            "Queue",
            key,
            visibility_timeout=Duration.seconds(TIMEOUTS * timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=TRIES, queue=self.poison),
        )
        acknowledge(self.poison, "SQS3", "this queue is where failures go: nothing reads it and could fail again")
        function.add_event_source(
            sources.SqsEventSource(
                self.queue,
                batch_size=MESSAGES,
                max_batching_window=WINDOW,
                max_concurrency=at_once,
                report_batch_item_failures=True,
            )
        )

    def take(self, rule_id: str, description: str, *, bucket: str, kinds: list[str], keys: list[Any]) -> None:
        """Send events of a bucket here: of these kinds, and of keys that fit one of the patterns, if there are any."""
        of_keys = {"object": {"key": keys}} if keys else {}
        pattern = events.EventPattern(
            source=["aws.s3"], detail_type=kinds, detail={"bucket": {"name": [bucket]}, **of_keys}
        )
        rule = events.Rule(self, rule_id, description=description, event_pattern=pattern)
        rule.add_target(targets.SqsQueue(self.queue))


def _encrypted(scope: Construct, construct_id: str, key: kms.IKey, **options: Any) -> sqs.Queue:
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
