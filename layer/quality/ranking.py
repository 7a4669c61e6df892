"""Measure which queries find a right answer among the first k. Ties count as the mean over all their orders."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
SCORES = 1 << 24  # that are held at a time
DIGITS = 9  # scores that are equal to so many decimals are equal: the last bits come from the order of a sum


@dataclass(frozen=True)
class Task:
    """Queries, candidates by rows, and for each query the places of its right candidates (never empty)."""

    queries: Vectors
    candidates: Vectors
    right: Sequence[NDArray[np.int64]]


def hits(task: Task, cutoffs: Sequence[int]) -> NDArray[np.float64]:
    """Return float64 [queries, cutoffs]: 1 where a right answer is among the first k by cosine, 0 where not.

    Where a right answer has the score of wrong ones, k may cut through them: then it is the share of their orders that
    put a right one before the cut.
    """
    queries, candidates = _unit(task.queries), _unit(task.candidates)
    rows = max(1, SCORES // len(candidates))
    parts = []
    for start in range(0, len(queries), rows):
        scores = np.round(queries[start : start + rows] @ candidates.T, DIGITS)
        parts.append(_hits(scores, task.right[start : start + rows], cutoffs))
    return np.concatenate(parts)


def _hits(
    scores: NDArray[np.float64], right: Sequence[NDArray[np.int64]], cutoffs: Sequence[int]
) -> NDArray[np.float64]:
    counts = [len(places) for places in right]
    row, starts = np.repeat(np.arange(len(right)), counts), np.cumsum([0, *counts[:-1]])
    of_right = scores[row, np.concatenate(right)]
    best = np.maximum.reduceat(of_right, starts)
    tied_right = np.add.reduceat(of_right == best[row], starts)
    before = (scores > best[:, None]).sum(axis=1)
    tied_wrong = (scores == best[:, None]).sum(axis=1) - tied_right
    return np.stack([_chance(k - before, tied_right, tied_wrong) for k in cutoffs], axis=1)


def _chance(places: NDArray[np.int64], right: NDArray[np.int64], wrong: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how likely one of `right` is among `places` drawn of right and wrong ones, without replacement."""
    missed = np.ones(len(places))
    for drawn in range(int(max(places.max(), 0))):
        left = np.maximum(right + wrong - drawn, 1)
        missed = np.where(drawn < places, missed * np.maximum(wrong - drawn, 0) / left, missed)
    return 1 - missed


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))
