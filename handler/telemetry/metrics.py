"""One JSON line for each call: a log to search, and CloudWatch's embedded metric format in the same line.

Counts, times and ids are in it; texts, images, keys and addresses never are.
docs.aws.amazon.com: AmazonCloudWatch "Specification: Embedded metric format".
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from handler.telemetry.invocation import STAGES, Call

NAMESPACE = "OpenCLIP"
# Counted for each model too, of which every metric costs money. Load: with a memory budget, models come and go.
OF_MODEL = ("Texts", "Pictures", "Inference", "Load")
MILLISECONDS, COUNT = "Milliseconds", "Count"
# Every field of a line, in lower case: what code of the deployment's own measures has another name.
OURS = {
    *("_aws", "level", "message", "request_id", "route", "status", "cold", "dialect", "functionname", "model", "code"),
    *("duration", "texts", "pictures", "coldstart", "loadtime", "rejected", *STAGES),
}


def emit(call: Call, environ: Mapping[str, str], cold_start_seconds: float | None, out: TextIO | None = None) -> None:
    """Write the call's line, in Lambda: elsewhere nobody reads it."""
    function = environ.get("AWS_LAMBDA_FUNCTION_NAME")
    if function is None:
        return
    line = json.dumps(describe(call, function, cold_start_seconds), separators=(",", ":"))
    stream = out or sys.stdout
    stream.write(f"{line}\n")  # in one piece: print writes the line's end by itself, and another thread's line between
    stream.flush()


def describe(call: Call, function: str, cold_start_seconds: float | None) -> dict[str, Any]:
    """Return the line's content: what happened, the metrics' values, and which of them are metrics."""
    values: dict[str, tuple[float, str]] = {
        "Duration": (_milliseconds(call.seconds), MILLISECONDS),
        "Texts": (call.texts, COUNT),
        "Pictures": (call.images, COUNT),
        **{name: (value, "None") for name, value in call.own.items()},
        **{
            name.capitalize(): (_milliseconds(call.stages[name].seconds), MILLISECONDS)
            for name in STAGES
            if name in call.stages
        },
    }
    if call.cold:
        values["ColdStart"] = (1, COUNT)
        if cold_start_seconds is not None:
            values["LoadTime"] = (_milliseconds(cold_start_seconds), MILLISECONDS)
    directives = [_directive(["FunctionName"], values)]
    dimensions = {"FunctionName": function}
    if call.model:
        dimensions["Model"] = call.model
        of_model = {name: values[name] for name in OF_MODEL if name in values}
        directives.append(_directive(["FunctionName", "Model"], of_model))
    if call.code:
        dimensions["Code"] = call.code
        values["Rejected"] = (1, COUNT)
        directives.append(_directive(["FunctionName", "Code"], {"Rejected": values["Rejected"]}))
    return {
        "_aws": {"Timestamp": int(call.started * 1000), "CloudWatchMetrics": directives},
        "level": "ERROR" if call.status >= 500 else "INFO",
        "message": f"{call.route} {call.status}",
        "request_id": call.request_id,
        "route": call.route,
        "status": call.status,
        "cold": call.cold,
        **({"dialect": call.dialect} if call.dialect else {}),
        **dimensions,
        **{name: value for name, (value, _) in values.items()},
    }


def _directive(dimensions: list[str], values: Mapping[str, tuple[float, str]]) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": unit} for name, (_, unit) in values.items()]
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
