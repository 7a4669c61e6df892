"""The nearest rows to a query."""

import numpy as np
from numpy.typing import NDArray

from openclip_lambda.calls import cosines

CHUNK = 65_536  # rows in memory at once


def nearest(vectors: NDArray[np.float32], query: NDArray[np.float32], count: int) -> list[tuple[int, float]]:
    """Return the rows of [N, D] with the highest cosine to [D], the best first, equal ones in their order."""
    found: list[tuple[float, int]] = []
    for start in range(0, len(vectors), CHUNK):
        scores = cosines(np.asarray(vectors[start : start + CHUNK]), query[np.newaxis])[:, 0]
        best = np.argsort(-scores, kind="stable")[:count]
        found += [(float(scores[place]), start + int(place)) for place in best]
        found = sorted(found, key=lambda one: (-one[0], one[1]))[:count]
    return [(place, score) for score, place in found]
