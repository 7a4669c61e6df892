"""AWS's list prices of us-east-1 that only `make measure` needs. All others: openclip_lambda.batch.prices.

docs/deploy.md, "What it costs", has the same figures; a test compares them.
"""

from openclip_lambda.batch.prices import DATE, REGION, Prices

LIST = Prices()
LISTED = f"list prices of {REGION}, {DATE}"
# SnapStart of Python: AWS Lambda pricing. A snapshot is paid for three hours at least, however short it is kept.
SNAPSHOT_GB_SECOND = 0.0000015046
SNAPSHOT_GB_RESTORED = 0.0001397998
SNAPSHOT_SECONDS = 3 * 3600
# By the month, and paid for by the hour: AWS KMS and Amazon CloudWatch pricing.
KEY_MONTH = 1.00
ALARM_MONTH = 0.10
METRIC_MONTH = 0.30
MONTH_HOURS = 730


def gb_second(architecture: str) -> float:
    """Return Lambda's dollars for a GB-second."""
    return LIST.lambda_gb_second_arm64 if architecture == "arm64" else LIST.lambda_gb_second_x86_64


def request() -> float:
    """Return Lambda's dollars for one request, with the trace and the kilobytes of logs that come with it."""
    return LIST.lambda_requests_million / 1e6 + LIST.traces_million / 1e6 + 3e-6 * LIST.logs_gb


def per_million(billed_ms: float, memory_mb: int, architecture: str, items: int) -> float:
    """Return dollars for a million items, of which a request has `items` and is billed `billed_ms`: Lambda alone."""
    compute = billed_ms / 1000 * memory_mb / 1024 * gb_second(architecture)
    return (compute * 1e6 + LIST.lambda_requests_million) / items
