"""The workloads, what was measured of one contender on each of them, and whether it counts."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

REQUIRED = 0.999  # least cosine to open_clip's vectors: what is below it is shown and not counted, ours too
NAN = float("nan")


class Workload(NamedTuple):
    """One kind of request: `kind` is images or captions, `number` how many of them, `repeats` how often in a round."""

    name: str
    kind: str
    number: int
    repeats: int


WORKLOADS = (
    Workload("image", "images", 1, 6),
    Workload("image of 8", "images", 8, 2),
    Workload("image of 32", "images", 32, 1),
    Workload("caption", "captions", 1, 8),
    Workload("caption of 32", "captions", 32, 2),
)


@dataclass
class Result:
    """Seconds and bytes of one contender, by measure and workload; `cosines` by `images` and `captions`."""

    name: str
    ours: bool
    towers: bool = True
    cold: list[float] = field(default_factory=list)
    cold_on_one: list[float] = field(default_factory=list)
    cold_peak: list[float] = field(default_factory=list)
    peak: float = NAN
    failed: str = ""  # why it ended before all was measured
    cosines: dict[str, float] = field(default_factory=dict)
    warm: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, measure: str, workload: str, seconds: list[float]) -> None:
        """Add what a round took."""
        self.warm.setdefault(measure, {}).setdefault(workload, []).extend(seconds)

    def compare(self, vectors: dict[str, Any], reference: Path) -> None:
        """Keep the least cosine of its vectors to open_clip's, which are files in `reference`."""
        import numpy as np

        for kind, found in vectors.items():
            self.cosines[kind] = least_cosine(np.load(reference / f"{kind}.npy"), np.asarray(found))

    def counts(self, workload: str = "") -> bool:
        """Tell whether its vectors are open_clip's: those of the workload's kind, or of both."""
        kinds = ("images", "captions") if not workload else ("images" if "image" in workload else "captions",)
        return all(self.cosines.get(kind, 0.0) >= REQUIRED for kind in kinds)


def least_cosine(left: Any, right: Any) -> float:
    """Return the least cosine between the rows of two arrays [N, D]."""
    import numpy as np

    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    products = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    return float(products.min())


def median(numbers: Sequence[float]) -> float:
    """Return the median, or NaN of none."""
    return statistics.median(numbers) if numbers else NAN


def percentile_20(numbers: Sequence[float]) -> float:
    """Return the 20th percentile: the number that a fifth is below."""
    return sorted(numbers)[len(numbers) // 5] if numbers else NAN


def lead(results: Sequence[Result], measure: str, workload: str) -> tuple[float, str] | None:
    """Return how many times faster our better engine is than the best peer, of those that count; and that peer's name.

    Medians; None where nobody on either side was measured, NaN times where none of ours counts.
    """
    measured = [one for one in results if workload in one.warm.get(measure, {})]
    values = {one.name: median(one.warm[measure][workload]) for one in measured}
    return _lead(measured, values, {one.name for one in measured if one.counts(workload)})


def lead_in(results: Sequence[Result], values: dict[str, float]) -> tuple[float, str] | None:
    """Return the same for one number of each contender: a cold start, or a peak; NaN if it was not measured."""
    measured = [one for one in results if not math.isnan(values[one.name])]
    return _lead(measured, values, {one.name for one in measured if one.counts()})


def _lead(measured: Sequence[Result], values: dict[str, float], counted: set[str]) -> tuple[float, str] | None:
    ours = [one.name for one in measured if one.ours]
    peers = [(values[one.name], one.name) for one in measured if not one.ours and one.name in counted]
    if not ours or not peers:
        return None
    best, name = min(peers)
    return best / min((values[one] for one in ours if one in counted), default=NAN), name
