"""Alarms for what stops a batch or its arrivals, and the batch's row on the dashboard."""

from aws_cdk import aws_cloudwatch as cloudwatch

from infra.batch import Batch
from infra.monitoring import PERIOD, Monitoring

LATE = 600  # seconds that a change waits: it takes one minute where nothing is wrong
WIDTH = 6  # of a graph, of the dashboard's 24
RUNS = ("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut")


def watch(monitoring: Monitoring, batch: Batch) -> None:
    """Add the batch's alarms and graphs to the stack's own."""
    worker, queue, poison = batch.worker, batch.arrivals.queue, batch.arrivals.poison
    runs = {name: _of_machine(batch.machine.arn, name) for name in RUNS}
    errors, throttles = worker.metric_errors(period=PERIOD), worker.metric_throttles(period=PERIOD)
    age = queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
    lost = poison.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")
    compaction = batch.compaction.function.metric_errors(period=PERIOD)
    for name, metric, threshold, says in (
        ("FailedRuns", runs["ExecutionsFailed"], 1, "a run failed: its execution says which shards and why"),
        ("TimedOutRuns", runs["ExecutionsTimedOut"], 1, "a run took 14 days: start it again, to go on"),
        ("WorkerErrors", errors, 1, "a worker failed: it is tried again; the log of the worker says why"),
        ("WorkerThrottles", throttles, 1, "workers wait: lower batch_concurrency, or raise the account's limit"),
        ("LateArrivals", age, LATE, "the oldest change of the source waits for this long (s): see the worker"),
        ("LostArrivals", lost, 1, "changes could not be handled: the queue BatchPoison has them"),
        ("CompactionErrors", compaction, 1, "arrivals were not compacted; reading them is slower, and right"),
    ):
        monitoring.alarm(name, metric, threshold, says)
    graphs = {
        "Batch: runs": list(runs.values()),
        "Batch: shards and arrivals": [
            worker.metric_invocations(period=PERIOD),
            worker.metric_duration(period=PERIOD, statistic="p99"),
            worker.metric("ConcurrentExecutions", period=PERIOD, statistic="Maximum"),
        ],
        "Batch: failures": [errors, throttles, compaction],
        "Batch: arrivals that wait": [age, lost],
    }
    widgets = [cloudwatch.GraphWidget(title=title, left=metrics, width=WIDTH) for title, metrics in graphs.items()]
    monitoring.board.add_widgets(*widgets)


def _of_machine(arn: str, name: str) -> cloudwatch.Metric:
    dimensions = {"StateMachineArn": arn}
    return cloudwatch.Metric(
        namespace="AWS/States", metric_name=name, dimensions_map=dimensions, period=PERIOD, statistic="Sum"
    )
