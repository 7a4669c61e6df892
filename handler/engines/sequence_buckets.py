"""Run a causal text tower over as many positions as each text needs: what follows the end-of-text token is padding."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

STEPS = (8, 16, 32)  # positions; texts of about one length run together, so that a long one does not slow short ones


def run_by_length(
    ids: NDArray[np.int64], end_id: int | None, run: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Embed token ids [N, L] with `run`, in groups of similar length, each cut after its longest text.

    `end_id` is the end-of-text token; None says that it is the highest id of each row. Returns float32 [N, D].
    """
    ends = ids.argmax(axis=1) if end_id is None else (ids == end_id).argmax(axis=1)
    lengths = np.maximum(ends + 1, 2)
    groups = np.searchsorted(STEPS, lengths)
    if (groups == groups[0]).all():
        return run(ids[:, : lengths.max()])
    vectors: NDArray[np.float32] | None = None
    for group in sorted(set(groups.tolist())):  # np.unique would import numpy.ma
        rows = np.flatnonzero(groups == group)
        some = run(ids[rows, : lengths[rows].max()])
        if vectors is None:
            vectors = np.empty((len(ids), some.shape[1]), np.float32)
        vectors[rows] = some
    assert vectors is not None  # noqa: S101 - there is a first group
    return vectors
