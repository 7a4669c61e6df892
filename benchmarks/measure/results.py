"""The figures of a run as one document: what cannot be measured there is null, and the reason stands beside it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import prices
from benchmarks.measure.account import AWS, Account
from benchmarks.measure.builds import Package
from benchmarks.measure.estimate import Spent
from benchmarks.measure.invoking import Invocation
from benchmarks.measure.phases import Measured, Workload
from benchmarks.measure.plan import Plan
from benchmarks.measure.spread import Spread, spread

SCHEMA = 1
# What an emulator has no equivalent of. Its other figures are of the machine that it runs on.
ON_AWS_ALONE = {
    "init_ms": "an emulator starts the process when it is first asked, so there is no init to be told apart",
    "billed_init_ms": "an emulator bills nothing",
    "restore_ms": "an emulator has no SnapStart: it starts the process",
    "billed_restore_ms": "an emulator bills nothing",
    "max_memory_mb": "an emulator reports the memory setting",
    "dollars_per_million": "an emulator bills nothing",
    "items_per_second": "all execution environments of an emulator share the processors of one machine",
}
# By part and figure: why Lambda may not have told it.
NOT_REPORTED = {
    "init.init_ms": "Lambda reported none: an init of over 10 s is started again within the first invocation",
    "restore.restore_ms": "no invocation reported a restore, or none was begun",
}


def document(date: str, account: Account, plan: Plan, spent: Spent, complete: bool) -> dict[str, Any]:
    """Return the head of the document; `targets` is filled as they are measured."""
    return {
        "schema": SCHEMA,
        "platform": account.platform,
        "date": date,
        "region": account.region,
        "complete": complete,
        "dollars_spent": round(spent.dollars, 4) if account.platform == AWS else None,
        "prices": prices.LISTED,
        "plan": {**plan._asdict(), "reached_levels": list(plan.reached_levels)},
        "targets": [],
    }


def target(package: Package, plan: Plan, measured: Sequence[Measured], on_aws: bool) -> dict[str, Any]:
    """Return the figures of one package, tied to it by its hashes."""
    reasons = dict(ON_AWS_ALONE) if not on_aws else {}
    if left_out := [level for level in plan.levels if level not in plan.reached_levels]:
        reasons["concurrency"] = f"{left_out} are over half of the account's free concurrency, which is {plan.at_once}"
    rows = [_memory(one, package.target.architecture, on_aws) for one in measured]
    for one, row in zip(measured, rows, strict=True):
        reasons |= {f"{one.memory_mb} MB": "; ".join(one.problems)} if one.problems else {}
        if on_aws and not one.problems:
            reasons |= {f"{key} at {one.memory_mb} MB": why for key, why in NOT_REPORTED.items() if _lacks(row, key)}
    return {
        "shape": package.target.shape,
        "architecture": package.target.architecture,
        "python": package.python,
        "models": package.models,
        "manifest_sha256": package.manifest_sha256,
        "package_sha256": package.package_sha256,
        "reasons": reasons,
        "memory": rows,
    }


def _lacks(row: dict[str, Any], key: str) -> bool:
    part, _, figure = key.partition(".")
    return row[part][figure] is None


def _memory(one: Measured, architecture: str, on_aws: bool) -> dict[str, Any]:
    inits, restores = (_fine(found) for found in (one.inits, one.restores))
    init = spread(call.init_ms for call in inits) if on_aws else None
    return {
        "memory_mb": one.memory_mb,
        "init": {
            "init_ms": _figure(init),
            "billed_init_ms": _figure(spread(call.billed_ms for call in inits) if on_aws else None),
            "first_request_ms": _figure(spread(call.duration_ms for call in inits)),
            "load_ms": _figure(spread(call.load_ms for call in inits)),
            "max_memory_mb": max((call.max_memory_mb or 0 for call in inits), default=0) or None if on_aws else None,
            "failed": len(one.inits) - len(inits),
        },
        "restore": {
            "restore_ms": _figure(spread(call.restore_ms for call in restores)),
            "billed_restore_ms": _figure(spread(call.billed_ms for call in restores)),
            "first_request_ms": _figure(spread(call.duration_ms for call in restores)),
            "failed": len(one.restores) - len(restores),
        },
        "warm": [_workload(kind, calls, one.memory_mb, architecture, on_aws) for kind, calls in one.warm],
        "concurrency": [_level(level, *busy, on_aws) for level, busy in one.busy.items()],
    }


def _workload(kind: Workload, calls: list[Invocation], memory: int, architecture: str, on_aws: bool) -> dict[str, Any]:
    took, billed = spread(call.duration_ms for call in calls), spread(call.billed_ms for call in calls)
    mean = sum(call.billed_ms or 0 for call in calls) / len(calls) if calls else 0  # what a bill adds up
    cost = prices.per_million(mean, memory, architecture, kind.items) if on_aws and mean else None
    return {
        "workload": kind.name,
        "items": kind.items,
        "ms_per_item": _figure(took and took.scaled(1 / kind.items)),
        "billed_ms_per_item": _figure(billed and billed.scaled(1 / kind.items)),
        "dollars_per_million": cost and round(cost, 4),
    }


def _level(level: int, calls: list[Invocation], seconds: float, on_aws: bool) -> dict[str, Any]:
    fine = _fine(calls)
    return {
        "at_once": level,
        "requests": len(fine),
        "refused": sum(call.refused for call in calls),
        "failed": len(calls) - len(fine) - sum(call.refused for call in calls),
        "request_ms": _figure(spread(call.duration_ms for call in fine)),
        "items_per_second": round(len(fine) / seconds, 2) if on_aws else None,
    }


def _fine(calls: Sequence[Invocation]) -> list[Invocation]:
    return [call for call in calls if not call.error and not call.refused]


def _figure(found: Spread | None) -> dict[str, Any] | None:
    return {key: round(value, 3) for key, value in found._asdict().items()} if found else None


def unused(folder: Path, day: str) -> str:
    """Return the name for a run's files: the day, and a number where the day has some already."""
    names = (day if number == 1 else f"{day}-{number}" for number in range(1, 10_000))
    return next(name for name in names if not (folder / f"{name}.json").exists())


def encoded(content: dict[str, Any]) -> bytes:
    """Return the document as it is written."""
    return (json.dumps(content, indent=1) + "\n").encode()
