"""List prices of AWS, in one table, and how the user gives others."""

import difflib
import math
from collections.abc import Iterable
from typing import NamedTuple

from openclip_lambda.errors import ClientError

REGION, DATE = "us-east-1", "2026-11-27"  # where and when they were looked up, in the first tier of each
PAGES = (  # AWS's own; most of their numbers come in by script, so SOURCES say where each was read
    "https://aws.amazon.com/lambda/pricing/",
    "https://aws.amazon.com/step-functions/pricing/",
    "https://aws.amazon.com/s3/pricing/",
    "https://aws.amazon.com/cloudwatch/pricing/",
    "https://aws.amazon.com/xray/pricing/",
)
LAMBDA = ("https://wring.co/blog/aws-lambda-pricing-guide", "2026-03-08")
REQUESTS = ("https://c3x.dev/blog/s3-request-fees-explained", "2026")
SOURCES = {  # by price: the page, and of when it is
    "lambda_gb_second_x86_64": LAMBDA,
    "lambda_gb_second_arm64": LAMBDA,
    "lambda_requests_million": LAMBDA,
    "state_transitions_thousand": ("https://awsnegotiations.com/step-functions-pricing-strategy.html", "2026-05"),
    "s3_put_thousand": REQUESTS,
    "s3_get_thousand": REQUESTS,
    "s3_gb_month": ("https://gist.github.com/EverettBerry/a37438006529a55f42da6fdbc44a505c", "2022-07-07"),
    "logs_gb": ("https://c3x.dev/blog/cloudwatch-logs-cost-optimization", "2026-06"),
    "traces_million": ("https://aws.amazon.com/de/xray/pricing/", ""),  # not dated
}


class Prices(NamedTuple):
    """Dollars, without free tiers and discounts. A GB of Lambda is 1,024 MB, a GB of S3 and of logs 2^30 bytes."""

    lambda_gb_second_x86_64: float = 0.0000166667
    lambda_gb_second_arm64: float = 0.0000133334
    lambda_requests_million: float = 0.20
    state_transitions_thousand: float = 0.025
    s3_put_thousand: float = 0.005  # PUT, COPY, POST and LIST
    s3_get_thousand: float = 0.0004  # GET and the rest
    s3_gb_month: float = 0.023
    logs_gb: float = 0.50
    traces_million: float = 5.00


def with_changes(changes: Iterable[str]) -> Prices:
    """Return the list with the user's own prices, each as `name=dollars`. Raises ClientError for what is none."""
    prices = Prices()
    for change in changes:
        name, _, text = change.partition("=")
        if name not in Prices._fields:
            near = difflib.get_close_matches(name, Prices._fields, 1)
            meant = f"did you mean {near[0]}?" if near else f"the names are {', '.join(Prices._fields)}"
            raise ClientError(f"--price {change}: there is no price of that name; {meant}")
        try:
            dollars = float(text)
        except ValueError:
            dollars = math.nan
        if not 0 <= dollars < math.inf:
            raise ClientError(f"--price {change}: give dollars as a number, such as {name}={getattr(prices, name)}")
        prices = prices._replace(**{name: dollars})
    return prices
