"""Intervals by resampling images: each drawn with its captions, and the same draws for every output."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES, SEED, CONFIDENCE = 2_000, 0, 0.95
_NUMBERS = 1 << 22  # that are drawn at a time


@dataclass(frozen=True)
class Estimate:
    """A share, with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Drawn:
    """The share of hits of each output: of the data, float64 [outputs], and of each resample, [resamples, outputs]."""

    values: NDArray[np.float64]
    draws: NDArray[np.float64]


@dataclass(frozen=True)
class Hits:
    """Hits of queries, float64 [queries, outputs], and which image each query is drawn with, int64 [queries]."""

    hits: NDArray[np.float64]
    image: NDArray[np.int64]


def draw(measured: Sequence[Hits], images: int) -> list[Drawn]:
    """Resample `images` images; every resample has the same images in all that was measured."""
    sums = [np.stack([np.bincount(one.image, column, images) for column in one.hits.T], axis=1) for one in measured]
    counts = [np.bincount(one.image, minlength=images).astype(np.float64)[:, None] for one in measured]
    both = np.concatenate([*sums, *counts], axis=1)
    drawn = np.concatenate([weights @ both for weights in _weights(images)])
    ends = np.cumsum([0, *(one.shape[1] for one in sums)])
    queries = drawn[:, ends[-1] :]
    return [
        Drawn(
            sums[place].sum(axis=0) / counts[place].sum(),
            drawn[:, ends[place] : ends[place + 1]] / np.maximum(queries[:, [place]], 1),
        )
        for place in range(len(measured))
    ]


def mean(several: Sequence[Drawn]) -> Drawn:
    """Return the mean of several shares that were drawn together."""
    return Drawn(np.mean([one.values for one in several], axis=0), np.mean([one.draws for one in several], axis=0))


def estimates(drawn: Drawn, against: int) -> list[tuple[Estimate, Estimate]]:
    """Return for each output its share, and its loss to output number `against`: percentile intervals.

    The loss is paired: in each resample both shares are of the same images.
    """
    losses = Drawn(drawn.values[against] - drawn.values, drawn.draws[:, [against]] - drawn.draws)
    return [
        (_estimate(drawn.values[place], drawn.draws[:, place]), _estimate(losses.values[place], losses.draws[:, place]))
        for place in range(len(drawn.values))
    ]


def _weights(images: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each image is drawn: parts of [resamples, images]."""
    rng = np.random.default_rng(SEED)
    rows = max(1, _NUMBERS // images)
    for start in range(0, RESAMPLES, rows):
        yield _counted(rng.integers(0, images, (min(rows, RESAMPLES - start), images)), images)


def _counted(drawn: NDArray[np.int64], images: int) -> NDArray[np.float64]:
    rows = len(drawn)
    places = drawn + images * np.arange(rows)[:, None]
    return np.bincount(places.ravel(), minlength=rows * images).reshape(rows, images).astype(np.float64)


def _estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
