"""Statistics of a figure: the median and two percentiles, which one slow invocation does not move."""

import statistics
from collections.abc import Iterable
from typing import NamedTuple


class Spread(NamedTuple):
    """How many values there were, their 20th percentile, median and 95th percentile."""

    n: int
    p20: float
    median: float
    p95: float

    def scaled(self, factor: float) -> "Spread":
        """Return the spread of values that are all multiplied."""
        return Spread(self.n, self.p20 * factor, self.median * factor, self.p95 * factor)


def spread(values: Iterable[float | None]) -> Spread | None:
    """Summarise the values; None if there are none. Percentiles are interpolated linearly."""
    found = sorted(value for value in values if value is not None)
    if not found:
        return None
    return Spread(len(found), _percentile(found, 0.2), statistics.median(found), _percentile(found, 0.95))


def _percentile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
