"""What Lambda reports of one invocation, from the end of its log: in Lambda's JSON, or in its older plain text."""

import json
import re
from typing import Any, NamedTuple

# Lambda's names of the metrics of `platform.report`, and those of the REPORT line.
FIELDS = {
    "durationMs": "Duration",
    "billedDurationMs": "Billed Duration",
    "initDurationMs": "Init Duration",
    "restoreDurationMs": "Restore Duration",
    "billedRestoreDurationMs": "Billed Restore Duration",
    "maxMemoryUsedMB": "Max Memory Used",
}
_PLAIN = re.compile(r"(?:^|\t)\s*([A-Z][A-Za-z ]+): ([\d.]+) (?:ms|MB)")


class Reported(NamedTuple):
    """Milliseconds and MB by Lambda's names (FIELDS); and `cold` and `load_ms` as the handler's own line has them."""

    metrics: dict[str, float]
    cold: bool | None
    load_ms: float | None


def read(tail: str) -> Reported:
    """Read the last lines of an invocation's log; what is not in them is missing from the result."""
    metrics: dict[str, float] = {}
    cold: bool | None = None
    load: float | None = None
    for line in tail.splitlines():
        if line.startswith("REPORT "):
            metrics = _plain(line)
        elif entry := _object(line):
            if entry.get("type") == "platform.report":
                metrics = _numbers(entry.get("record"))
            elif "_aws" in entry and isinstance(entry.get("cold"), bool):
                cold, load = entry["cold"], _number(entry.get("LoadTime"))
    return Reported(metrics, cold, load)


def _plain(line: str) -> dict[str, float]:
    found = dict(_PLAIN.findall(line))
    return {name: float(found[words]) for name, words in FIELDS.items() if words in found}


def _object(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}  # a line of a library, or one that the tail cuts off
    return entry if isinstance(entry, dict) else {}


def _numbers(record: Any) -> dict[str, float]:
    metrics = record.get("metrics") if isinstance(record, dict) else None
    if not isinstance(metrics, dict):
        return {}
    return {name: float(metrics[name]) for name in FIELDS if _number(metrics.get(name)) is not None}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
