"""Send changes in the source bucket to the worker. The bucket has to send its events to EventBridge."""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.event_queue import EventQueue
from infra.settings import StackSettings

# docs.aws.amazon.com: AmazonS3, "Using EventBridge". An archived object that is restored can be read from then on.
EVENTS = ("Object Created", "Object Deleted", "Object Restore Completed")
# How the names end of what a batch and LanceDB write: a bucket for all of it would call the worker for its own results.
RESULTS = (".parquet", ".jsonl", ".json", ".lance", ".manifest", ".txn", ".idx")
AT_ONCE = 5  # workers on the queue: the rest of the account's concurrency is left to the API and to runs


class Arrivals(EventQueue):
    """The queue of the source's objects that came, went or were restored."""

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
        super().__init__(scope, construct_id, key=key, function=worker, timeout=worker_timeout, at_once=AT_ONCE)
        bucket, prefix = settings.batch_bucket_and_prefix
        self.take(
            "Changed",
            f"Objects of {bucket} that came, went or were restored",
            bucket=bucket,
            kinds=list(EVENTS),
            keys=_keys(prefix, bucket == settings.batch_output),
        )


def _keys(prefix: str, with_results: bool) -> list[Any]:
    """Return EventBridge's patterns of the keys that may be images, where not all may be."""
    if prefix:
        return [{"prefix": prefix}]
    return [{"anything-but": {"suffix": list(RESULTS)}}] if with_results else []
