"""The default memory setting of a bundle's function: from a measured sweep, or by a rule that was derived from it.

`python -m benchmarks.memory` writes memory_settings.json; docs/cost.md has the same figures as tables. Both a
function's share of processors and its price grow with its memory. So up to one vCPU, more memory is faster at the same
price; beyond it, the time of a request seldom falls as much as its price rises.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.bundle.records import BundleFile, Manifest, ModelName
from layer.naming import memory as limits
from layer.registry.cost import BASE_MEMORY, MB_PER_VCPU, dollars_per_million

DATA = Path(__file__).with_name("memory_settings.json")
DEARER = 1.2  # times the cheapest setting's price: what more speed may cost
AS_FAST = 1.05  # two settings whose times differ by less are equally fast: the smaller is taken
NEW_ACCOUNT = 3008  # MB: a new account has no more, so no default is larger where the peak allows that
HEADROOM = 1.1  # of a peak, for what Lambda's own runtime takes beside the handler


@dataclass(frozen=True)
class Choice:
    """Settings in MB: `default` is what a deployment takes; `peak` is in bytes; `measured`: of this very model."""

    default: int
    cheapest: int
    fastest: int
    peak: int
    measured: bool


def of_bundle(facts: Manifest) -> Choice:
    """Return the setting for a bundle: its only model's as measured, else by the rule."""
    known = [_row(model) for model in facts.models]
    if len(known) == 1 and known[0]:
        return choose(known[0]["warm"], int(known[0]["peak"]))
    return _by_rule(facts.models, facts.files)


def choose(warm: Mapping[str, Mapping[str, float]], peak: int) -> Choice:
    """Choose among measured settings: `warm` is seconds by workload and setting, `peak` bytes at the peak.

    Only settings that hold the peak, and that were measured for all workloads, are considered; the workloads have equal
    weight. Raises ValueError if there is no such setting.
    """
    counted = [mb for mb in _common(warm) if mb >= least(peak)]
    if not counted:
        raise ValueError("no setting holds the peak and was measured for all workloads")
    seconds = {name: {mb: float(times[str(mb)]) for mb in counted} for name, times in warm.items()}
    prices = {name: {mb: dollars_per_million(time, mb) for mb, time in row.items()} for name, row in seconds.items()}
    dearer, slower = _beside_best(prices), _beside_best(seconds)
    cheapest = min(counted, key=lambda mb: dearer[mb])
    allowed = [mb for mb in counted if dearer[mb] <= DEARER * dearer[cheapest]]
    of_new_account = [mb for mb in allowed if mb <= NEW_ACCOUNT]
    return Choice(
        default=_fastest(of_new_account, slower) if of_new_account else min(allowed),
        cheapest=cheapest,
        fastest=_fastest(allowed, slower),
        peak=peak,
        measured=True,
    )


def least(peak: int) -> int:
    """Return the least setting in MB, of 2^20 bytes each, that holds a peak in bytes with its headroom."""
    return -(-round(peak * HEADROOM) // 2**20)


def _by_rule(models: Sequence[ModelName], files: Sequence[BundleFile]) -> Choice:
    """Return one vCPU, or more if the peak needs it; the peak is estimated from file sizes, by the measured models."""
    factor = max(_bytes_to_peak(model) for model in models)
    peak = round(BASE_MEMORY * 1e6 + factor * sum(file.size for file in files))
    setting = min(limits.MAX_MB, max(MB_PER_VCPU, least(peak)))
    return Choice(setting, setting, setting, peak, measured=False)


def _bytes_to_peak(model: ModelName) -> float:
    rows = rows_measured()
    alike = [row for row in rows if (row["engine"], row["precision"]) == (model.engine, model.precision)]
    return max((float(row["peak"]) - BASE_MEMORY * 1e6) / float(row["bytes"]) for row in alike or rows)


def _row(model: ModelName) -> Mapping[str, Any] | None:
    wanted = (model.name, model.engine, model.precision)
    found = (row for row in rows_measured() if (row["model"], row["engine"], row["precision"]) == wanted)
    return next(found, None)


@functools.cache
def rows_measured() -> tuple[Mapping[str, Any], ...]:
    """Return the sweep's rows: model, engine, precision, bytes of its files, peak, seconds cold and warm."""
    return tuple(json.loads(DATA.read_text(encoding="utf-8"))["rows"])


def _common(warm: Mapping[str, Mapping[str, float]]) -> list[int]:
    return sorted(map(int, set.intersection(*(set(times) for times in warm.values()))))


def _beside_best(found: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    """Return each setting's value divided by the best setting's, on average over the workloads."""
    ratios = [{mb: value / min(row.values()) for mb, value in row.items()} for row in found.values()]
    return {mb: sum(ratio[mb] for ratio in ratios) / len(ratios) for mb in ratios[0]}


def _fastest(settings: Sequence[int], slower: Mapping[int, float]) -> int:
    best = min(slower[mb] for mb in settings)
    return min(mb for mb in settings if slower[mb] <= AS_FAST * best)
