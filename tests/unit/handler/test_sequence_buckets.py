"""Texts of similar length run together: of all ways to group them the one that computes least, each vector in place."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engines import sequence_buckets
from handler.engines.sequence_buckets import groups, run_by_length

END = 99


def cost(lengths: list[int], longest: list[int]) -> int:
    """Positions that are computed with these groups, a run's own cost included."""
    return sum(min(limit for limit in longest if limit >= length) for length in lengths) + sequence_buckets.RUN * len(
        longest
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_other_grouping_computes_less(seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(2, 12, 1 + seed * 2).tolist()
    distinct = sorted(set(lengths))
    ways = [[*some, distinct[-1]] for count in range(len(distinct)) for some in combinations(distinct[:-1], count)]

    found = groups(lengths)

    assert found == sorted(found)
    assert cost(lengths, found) == min(cost(lengths, way) for way in ways)


def test_texts_of_one_length_are_one_run_and_a_long_one_does_not_slow_many_short_ones() -> None:
    assert groups([7] * 32) == [7]
    assert groups([5] * 31 + [77]) == [5, 77]
    assert groups([5, 6]) == [6]


def test_each_text_is_cut_after_its_group_s_longest_and_its_vector_is_in_its_place() -> None:
    ids = np.zeros((40, 77), np.int64)
    for row, length in enumerate([3, 70, *[4, 9] * 19]):
        ids[row, :length] = row + 1
        ids[row, length - 1] = END
    shapes = []

    def run(given: NDArray[np.int64]) -> NDArray[np.float32]:
        shapes.append(given.shape)
        assert (given == END).any(axis=1).all()  # nobody lost its end
        return given[:, :1].astype(np.float32)

    found = run_by_length(ids, END, run)

    assert found[:, 0].tolist() == list(range(1, 41))
    assert shapes == [(20, 4), (19, 9), (1, 70)]
