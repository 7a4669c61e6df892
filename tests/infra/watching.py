"""CloudWatch's part in a test: what lines of a log count, and which alarms of a template that sets off.

Written from AWS's pages "Specification: Embedded metric format", "Filter pattern syntax for metric filters" (a field of
JSON that exists) and "Using Amazon CloudWatch alarms": an alarm sees the points of its namespace, its name and exactly
its dimensions, and no others.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Template = dict[str, Any]
Dimensions = frozenset[tuple[str, str]]
STATISTICS: dict[str, Callable[[list[float]], float]] = {"Sum": sum, "Maximum": max, "p99": max}  # p99 of a few points
EXISTS = re.compile(r"^\{ \$\.([A-Za-z.]+) = \* \}$")


@dataclass(frozen=True)
class Point:
    """One data point of a metric."""

    namespace: str
    name: str
    dimensions: Dimensions
    value: float


def point(namespace: str, name: str, value: float, **dimensions: str) -> Point:
    """Write a point with its dimensions as keyword arguments."""
    return Point(namespace, name, frozenset(dimensions.items()), value)


def embedded(line: str) -> list[Point]:
    """Read the points of one line in the embedded metric format; none where it is not."""
    try:
        root = json.loads(line)
    except ValueError:
        return []
    return [
        Point(directive["Namespace"], metric["Name"], frozenset((key, root[key]) for key in keys), root[metric["Name"]])
        for directive in root.get("_aws", {}).get("CloudWatchMetrics", [])
        for keys in directive["Dimensions"]
        for metric in directive["Metrics"]
    ]


def filtered(template: Template, line: str) -> list[Point]:
    """Put one line of a log through the template's metric filters."""
    points = []
    for properties in _properties(template, "AWS::Logs::MetricFilter").values():
        matched = EXISTS.match(properties["FilterPattern"])
        assert matched, f"not a pattern that this reads: {properties['FilterPattern']}"
        if _field(json.loads(line), matched[1]) is not None:
            for made in properties["MetricTransformations"]:
                value = _field(json.loads(line), made["MetricValue"].removeprefix("$."))
                points.append(point(made["MetricNamespace"], made["MetricName"], value))
    return points


def fired(template: Template, points: Iterable[Point]) -> set[str]:
    """Name the alarms that the points of one period set off, by their names in monitoring.py."""
    seen = list(points)
    alarms = _properties(template, "AWS::CloudWatch::Alarm")
    return {name.removeprefix("Monitoring")[:-8] for name, alarm in alarms.items() if _breaches(alarm, seen)}


def _breaches(alarm: dict[str, Any], points: list[Point]) -> bool:
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    value = _expression(alarm["Metrics"], points) if "Metrics" in alarm else _value(alarm, points)
    return value is not None and value >= alarm["Threshold"]


def _expression(metrics: list[dict[str, Any]], points: list[Point]) -> float | None:
    (formula,) = [item["Expression"] for item in metrics if "Expression" in item]
    of = {
        item["Id"]: _value({**item["MetricStat"]["Metric"], "Statistic": item["MetricStat"]["Stat"]}, points)
        for item in metrics
        if "MetricStat" in item
    }
    if None in of.values() or not of["requests"]:  # a quotient by 0 is not a point
        return None
    return float(eval(formula, {"__builtins__": {}}, of))  # noqa: S307 - of arithmetic in our own template


def _value(metric: dict[str, Any], points: list[Point]) -> float | None:
    dimensions = frozenset((item["Name"], resolve(item["Value"])) for item in metric.get("Dimensions", []))
    wanted = (metric["Namespace"], metric["MetricName"], dimensions)
    values = [one.value for one in points if (one.namespace, one.name, one.dimensions) == wanted]
    statistic = STATISTICS[metric.get("ExtendedStatistic") or metric["Statistic"]]
    return statistic(values) if values else None


def resolve(value: Any) -> str:
    """Resolve what CloudFormation puts in: a resource's name is its logical id here."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return str(value["Ref"])
    if "Fn::GetAtt" in value:
        return str(value["Fn::GetAtt"][0])
    separator, parts = value["Fn::Join"]
    return str(separator).join(resolve(part) for part in parts)


def _properties(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: item["Properties"] for name, item in template["Resources"].items() if item["Type"] == kind}


def _field(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = root.get(name) if isinstance(root, dict) else None
    return root
