"""Alarms for what stops a batch or its arrivals, and the batch's row on the dashboard."""

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.monitoring import PERIOD, Monitoring

LATE = 600  # seconds: an arrival takes one minute where nothing is wrong
RUNS = ("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut")


class BatchMonitoring(Construct):
    """What AWS counts of the state machine, the functions and the queues of a batch."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        monitoring: Monitoring,
        machine_arn: str,
        worker: lambda_.Function,
        compactor: lambda_.Function,
        queue: sqs.Queue,
        poison: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        runs = {name: _of_machine(machine_arn, name) for name in RUNS}
        errors, throttles = worker.metric_errors(period=PERIOD), worker.metric_throttles(period=PERIOD)
        age = queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
        lost = poison.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")
        compaction = compactor.metric_errors(period=PERIOD)
        for name, metric, threshold, says in (
            ("FailedRuns", runs["ExecutionsFailed"], 1, "a run failed: its execution says which shards and why"),
            ("TimedOutRuns", runs["ExecutionsTimedOut"], 1, "a run took 14 days: start it again, to go on"),
            ("WorkerErrors", errors, 1, "a worker failed: it is tried again; the log of the worker says why"),
            ("WorkerThrottles", throttles, 1, "workers wait: lower batch_concurrency, or raise the account's limit"),
            ("LateArrivals", age, LATE, "the oldest change of the source waits for this long (s): see the worker"),
            ("LostArrivals", lost, 1, "changes could not be handled: the queue BatchPoison has them"),
            ("CompactionErrors", compaction, 1, "arrivals were not compacted; reading them is slower, and right"),
        ):
            monitoring.alarm(self, name, metric, threshold, says)
        monitoring.add_row(_row(runs, worker, [errors, throttles, compaction], [age, lost]))


def _of_machine(arn: str, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/States",
        metric_name=name,
        dimensions_map={"StateMachineArn": arn},
        period=PERIOD,
        statistic="Sum",
    )


def _row(
    runs: Mapping[str, cloudwatch.Metric],
    worker: lambda_.Function,
    failures: list[cloudwatch.Metric],
    waiting: list[cloudwatch.Metric],
) -> dict[str, list[cloudwatch.Metric]]:
    return {
        "Batch: runs": list(runs.values()),
        "Batch: shards and arrivals": [
            worker.metric_invocations(period=PERIOD),
            worker.metric_duration(period=PERIOD, statistic="p99"),
            worker.metric("ConcurrentExecutions", period=PERIOD, statistic="Maximum"),
        ],
        "Batch: failures": failures,
        "Batch: arrivals that wait": waiting,
    }
