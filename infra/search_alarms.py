"""Alarms and a row of the dashboard for the search function and for what keeps its index current."""

from aws_cdk import aws_cloudwatch as cloudwatch

from infra.monitoring import FAULTS, PERIOD, Monitoring, rejected
from infra.search import Search
from infra.settings import StackSettings

LATE_SECONDS = 300  # that the oldest update waits: what arrives is to be found within a minute


def watch(monitoring: Monitoring, search: Search, settings: StackSettings) -> None:
    """Add the search's alarms and graphs to the stack's own."""
    alias, updater = search.alias, search.updates.function
    errors, throttles = alias.metric_errors(period=PERIOD), alias.metric_throttles(period=PERIOD)
    p50 = alias.metric_duration(period=PERIOD, statistic="p50")
    p99 = alias.metric_duration(period=PERIOD, statistic="p99")
    rebuilds, updates = search.rebuild.metric_errors(period=PERIOD), updater.metric_errors(period=PERIOD)
    queue, poison = search.updates.queue, search.updates.poison
    late = queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
    poisoned = poison.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")
    monitoring.alarm("SearchErrors", errors, 1, "the search function failed: see its log")
    monitoring.alarm("SearchThrottles", throttles, 1, "searches were refused: the account's concurrency is used up")
    monitoring.alarm("SlowSearches", p99, settings.alarm_p99 * 1000, "one search in a hundred is this slow (ms)")
    for name, code, says in FAULTS:
        monitoring.alarm(f"Search{name}", rejected(search.function, code), 1, f"search: {says}")
    monitoring.alarm("RebuildErrors", rebuilds, 1, "the index could not be rebuilt: see the search's log")
    monitoring.alarm("UpdateErrors", updates, 1, "the index could not be updated: see the search's log")
    monitoring.alarm("LateUpdates", late, LATE_SECONDS, "what arrived is not to be found yet (seconds)")
    monitoring.alarm("FailedUpdates", poisoned, 1, "files could not be indexed: the queue has their names")
    graphs = {
        "Search": [alias.metric_invocations(period=PERIOD), errors, throttles],
        "Search: duration (ms)": [p50, p99],
        "Index updates": [updater.metric_invocations(period=PERIOD), updates, rebuilds, poisoned],
        "Index updates: age of the oldest (s)": [late],
    }
    for title, metrics in graphs.items():
        monitoring.board.add_widgets(cloudwatch.GraphWidget(title=title, left=metrics, width=12))
