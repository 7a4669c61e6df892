"""Alarms for what callers would notice, and a dashboard that says why."""

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as api
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import StackSettings

PERIOD = Duration.minutes(5)
NAMESPACE = "OpenCLIP"  # of what the handler's own lines count (handler/telemetry/metrics.py)
FAULTS = (  # alarm, error code, what it says
    ("InternalErrors", "internal_error", "calls ended with an internal error: the log has each by its request's id"),
    ("NotReady", "not_ready", "a model or the bundle cannot be loaded: GET /health says why"),
)
# The same of code of the user's own, where the package has some. Code that cannot be imported is NotReady.
OWN_FAULTS = (
    ("ExtensionFailures", "extension_failed", "code of your own (handler_ext) failed: the log names the file and line"),
)


class Monitoring(Construct):
    """The alarms and one dashboard. The alarms notify `alarm_topic_arn` where the settings name one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        alias: lambda_.Alias,
        stage: api.HttpStage,
        authorizer: lambda_.Function | None,
        failed: sqs.Queue,
        log_group: logs.LogGroup,
        own_code: bool,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        self._topic = (
            sns.Topic.from_topic_arn(self, "Topic", settings.alarm_topic_arn) if settings.alarm_topic_arn else None
        )
        cold_start = _cold_start(self, log_group, settings)
        errors, throttles = alias.metric_errors(period=PERIOD), alias.metric_throttles(period=PERIOD)
        p99 = alias.metric_duration(period=PERIOD, statistic="p99")
        slowest, most = settings.alarm_cold_start * 1000, settings.alarm_server_errors
        self.alarm("Errors", errors, 1, "the function failed: see its log")
        self.alarm("Throttles", throttles, 1, "calls were refused: raise reserved_concurrency, or the account's limit")
        self.alarm("SlowRequests", p99, settings.alarm_p99 * 1000, "one request in a hundred is this slow (ms)")
        self.alarm("SlowStarts", cold_start, slowest, "a restore or an init is this slow (ms)")
        self.alarm("ServerErrors", _server_errors(stage), most, "percent of requests answered with 5xx")
        for name, code, says in (*FAULTS, *(OWN_FAULTS if own_code else ())):
            self.alarm(name, rejected(function, code), 1, says)
        if authorizer:
            unread = authorizer.metric_errors(period=PERIOD)
            self.alarm("AuthorizerErrors", unread, 1, "the API key cannot be read: every caller is answered with 500")
        self._watch_failed_invokes(function, failed)
        self.board = _dashboard(self, alias, stage, [errors, throttles], p99, cold_start)

    def _watch_failed_invokes(self, function: lambda_.Function, failed: sqs.Queue) -> None:
        waiting = failed.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum")
        self.alarm("FailedInvokes", waiting, 1, "asynchronous invokes failed: the queue has them, with the reason")
        lost = function.metric("DestinationDeliveryFailures", period=PERIOD, statistic="Sum")
        self.alarm("LostInvokes", lost, 1, "asynchronous invokes failed, and the queue could not take them")

    def alarm(self, name: str, metric: cloudwatch.IMetric, threshold: float, says: str) -> None:
        """Alarm where a metric is at the threshold or over it in a period; no data is no alarm."""
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


def _server_errors(stage: api.HttpStage) -> cloudwatch.MathExpression:
    """The share of requests that ended in a 5xx: of the function, of the authorizer, or by the gateway's timeout."""
    return cloudwatch.MathExpression(
        expression="100 * errors / requests",
        using_metrics={
            "errors": stage.metric_server_error(period=PERIOD, statistic="Sum"),
            "requests": stage.metric_count(period=PERIOD, statistic="Sum"),
        },
        period=PERIOD,
        label="5xx (%)",
    )


def rejected(function: lambda_.Function, code: str) -> cloudwatch.Metric:
    """Calls answered with this error. The handler answers all, so that Lambda's own metric Errors stays at none."""
    dimensions = {"FunctionName": function.function_name, "Code": code}
    return cloudwatch.Metric(
        namespace=NAMESPACE, metric_name="Rejected", dimensions_map=dimensions, period=PERIOD, statistic="Sum"
    )


def _cold_start(scope: Construct, log_group: logs.LogGroup, settings: StackSettings) -> cloudwatch.Metric:
    """Count cold starts in Lambda's reports in the log (Telemetry API, platform.report): Lambda has no such metric."""
    field = "$.record.metrics.restoreDurationMs" if settings.snap_start else "$.record.metrics.initDurationMs"
    name = "RestoreDuration" if settings.snap_start else "InitDuration"
    log_group.add_metric_filter(
        "ColdStarts",
        filter_pattern=logs.FilterPattern.literal(f"{{ {field} = * }}"),  # CDK's own `exists` would ask for a text
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
) -> cloudwatch.Dashboard:
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
    return board
