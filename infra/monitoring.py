"""Alarms for what callers would notice, and a dashboard that says why."""

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as api
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.settings import StackSettings

PERIOD = Duration.minutes(5)
NAMESPACE = "OpenCLIP"


class Monitoring(Construct):
    """Four alarms and one dashboard. The alarms notify `alarm_topic_arn` where the settings name one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alias: lambda_.Alias,
        stage: api.HttpStage,
        log_group: logs.LogGroup,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        self._topic = (
            sns.Topic.from_topic_arn(self, "Topic", settings.alarm_topic_arn) if settings.alarm_topic_arn else None
        )
        cold_start = _cold_start(self, log_group, settings)
        errors, throttles = alias.metric_errors(period=PERIOD), alias.metric_throttles(period=PERIOD)
        p99 = alias.metric_duration(period=PERIOD, statistic="p99")
        self._alarm("Errors", errors, 1, "the function failed: see its log")
        self._alarm("Throttles", throttles, 1, "calls were refused: raise reserved_concurrency, or the account's limit")
        self._alarm("SlowRequests", p99, settings.alarm_p99 * 1000, "one request in a hundred is this slow (ms)")
        self._alarm(
            "SlowStarts", cold_start, settings.alarm_cold_start * 1000, "a restore or an init is this slow (ms)"
        )
        _dashboard(self, alias, stage, [errors, throttles], p99, cold_start)

    def _alarm(self, name: str, metric: cloudwatch.Metric, threshold: float, says: str) -> None:
        alarm = metric.create_alarm(
            self,
            name,
            alarm_description=f"OpenCLIP: {says}",
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,  # nobody called: nothing is wrong
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))


def _cold_start(scope: Construct, log_group: logs.LogGroup, settings: StackSettings) -> cloudwatch.Metric:
    """Take it from the report of the invocation that waited (Telemetry API, platform.report): it is no metric."""
    field = "$.record.metrics.restoreDurationMs" if settings.snap_start else "$.record.metrics.initDurationMs"
    name = "RestoreDuration" if settings.snap_start else "InitDuration"
    log_group.add_metric_filter(
        "ColdStarts",
        filter_pattern=logs.FilterPattern.exists(field),
        metric_namespace=NAMESPACE,
        metric_name=f"{settings.stack_name}-{name}",
        metric_value=field,
        unit=cloudwatch.Unit.MILLISECONDS,
    )
    return cloudwatch.Metric(
        namespace=NAMESPACE, metric_name=f"{settings.stack_name}-{name}", period=PERIOD, statistic="Maximum"
    )


def _dashboard(
    scope: Construct,
    alias: lambda_.Alias,
    stage: api.HttpStage,
    failures: list[cloudwatch.Metric],
    p99: cloudwatch.Metric,
    cold_start: cloudwatch.Metric,
) -> None:
    p50 = alias.metric_duration(period=PERIOD, statistic="p50")
    graphs = {
        "Requests": [stage.metric_count(period=PERIOD), alias.metric_invocations(period=PERIOD)],
        "Failures": [*failures, stage.metric_client_error(period=PERIOD), stage.metric_server_error(period=PERIOD)],
        "Duration (ms)": [p50, p99, stage.metric_latency(period=PERIOD, statistic="p99")],
        "Cold starts (ms)": [cold_start, cold_start.with_(statistic="SampleCount", label="how many")],
        "Running at once": [alias.metric("ConcurrentExecutions", period=PERIOD, statistic="Maximum")],
    }
    board = cloudwatch.Dashboard(scope, "Dashboard")
    for title, metrics in graphs.items():
        board.add_widgets(cloudwatch.GraphWidget(title=title, left=metrics, width=12))
