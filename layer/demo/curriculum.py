"""Batches for a vision transformer, from what it learns first to what it learns last.

As long as colors tell the things of a batch apart, a transformer this small learns no shapes: those it sees only by
products of what its patches show. So it begins with white things, whose background is always darker.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from layer.demo.batches import Batches
from layer.demo.shapes import COLORS, SHAPES, THINGS, Thing

_NAMES = list(COLORS)
_WHITE, _THREE = (_NAMES.index("white"),), tuple(_NAMES.index(name) for name in ("white", "black", "yellow"))
WHITE_UNTIL, THREE_UNTIL = 400, 700  # batches
COLORS_AT_ONCE, MIXED_EVERY = 3, 3


class Curriculum(Batches):
    """White things, then things of three colors, then of any three, and every third batch of anything."""

    _drawn = 0

    def _choose(self, count: int) -> tuple[Sequence[Thing], NDArray[np.int64]]:
        self._drawn += 1
        classes = self._classes()
        rounds = self._rng.integers(len(self._singles.scenes) // len(THINGS), size=count)
        return [THINGS[i] for i in classes], self._rng.choice(classes, count) + len(THINGS) * rounds

    def _classes(self) -> NDArray[np.int64]:
        if self._drawn < WHITE_UNTIL:
            return _of(_WHITE)
        if self._drawn < THREE_UNTIL:
            return _of(_THREE)
        three = _of(tuple(self._rng.choice(len(COLORS), COLORS_AT_ONCE, replace=False)))
        if self._drawn % MIXED_EVERY:
            return three
        return self._rng.choice(len(THINGS), COLORS_AT_ONCE * len(SHAPES), replace=False)


def _of(colors: Sequence[int]) -> NDArray[np.int64]:
    return np.array([place for place, thing in enumerate(THINGS) if _NAMES.index(thing.color) in colors])
