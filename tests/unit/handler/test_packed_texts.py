"""Texts share rows: no token sees another text, hardly any padding is computed, and each vector is in its place."""

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engines.packed_texts import MOST_SCORES, Packed, _assign, assign, cut, pack

END, LONGEST, FIRST = 99, 700, 1000


def ids_of(lengths: list[int]) -> NDArray[np.int64]:
    """Return texts whose tokens tell the text and the position: FIRST * (text + 1) + position, and END."""
    ids = np.zeros((len(lengths), LONGEST), np.int64)
    for text, length in enumerate(lengths):
        ids[text, :length] = FIRST * (text + 1) + np.arange(length)
        ids[text, length - 1] = END
    return ids


class Whole:
    """What a tower is given in all runs, joined: the rows of one run have places behind those of the run before."""

    def __init__(self, packed: Packed) -> None:
        runs = [(ids, feed["positions"], feed["mask"], feed["ends"]) for ids, feed in packed.runs()]
        self.masks = [mask for _, _, mask, _ in runs]
        self.ids, self.positions = (np.concatenate([run[at] for run in runs]) for at in (0, 1))
        befores = np.cumsum([0, *(ids.size for ids, *_ in runs[:-1])])
        self.ends = np.concatenate([run[3] + before for run, before in zip(runs, befores, strict=True)])
        self._mask = np.concatenate(self.masks)

    def seen_by(self, token: int) -> list[int]:
        """Return the ids that a token attends to, by the mask."""
        row, place = divmod(token, self.ids.shape[1])
        return list(self.ids[row][self._mask[row, 0, place] == 0])


LENGTHS = [
    *([5], [2, 2], [77], [14] * 32, [5] * 31 + [77], [77] * 9, list(range(2, 70)), [64, 64, 3]),
    *([300, *[14] * 31], [700] * 8),
]
every_kind = pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)}-{max(lengths)}")


@every_kind
def test_the_end_of_a_text_sees_all_of_its_own_tokens_and_no_other(lengths: list[int]) -> None:
    ids, packed = ids_of(lengths), pack(ids_of(lengths), END)
    whole = Whole(packed)

    ends = whole.ends.reshape(-1)[packed.picked]

    assert [whole.seen_by(end) for end in ends] == [
        row[:length].tolist() for row, length in zip(ids, lengths, strict=True)
    ]


@every_kind
def test_a_token_sees_the_earlier_tokens_of_its_text_and_has_its_position_there(lengths: list[int]) -> None:
    whole = Whole(pack(ids_of(lengths), END))
    for token, (own, position) in enumerate(zip(whole.ids.flat, whole.positions.flat, strict=True)):
        seen = whole.seen_by(token)
        assert seen  # of padding too: a softmax over nothing is no number
        if own >= FIRST:
            assert seen == list(range(own - position, own + 1))


@every_kind
def test_no_other_number_of_rows_costs_much_less(lengths: list[int]) -> None:
    longest = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    best = min(_assign(lengths, longest, height).cost() for height in range(1, len(lengths) + 1))

    assert assign(lengths).cost() <= 1.05 * best
    assert pack(ids_of(lengths), END).ids.size <= 1.15 * sum(lengths)


@every_kind
def test_a_run_has_no_more_scores_than_memory_should_hold(lengths: list[int]) -> None:
    masks = Whole(pack(ids_of(lengths), END)).masks

    assert all(mask.size <= MOST_SCORES or len(mask) == 1 for mask in masks)
    assert len(masks) == 1 or max(lengths) > 77  # CLIP's own are one run


def test_one_text_is_computed_as_long_as_it_is() -> None:
    [(ids, feed)] = pack(ids_of([14]), END).runs()

    assert (ids.shape, feed["ends"].shape, feed["mask"].shape) == ((1, 14), (1, 1), (1, 1, 14, 14))


def test_without_an_end_token_the_highest_id_ends_a_text() -> None:
    ids = np.array([[5, 9, 0, 0], [5, 6, 7, 9]])

    packed = pack(ids, None)

    assert packed.ids.tolist() == [[5, 6, 7, 9, 5, 9]]
    assert packed.ends.reshape(-1)[packed.picked].tolist() == [5, 3]


def test_a_graph_of_an_earlier_version_is_given_no_more_than_the_longest_text() -> None:
    assert cut(ids_of([5, 14, 2]), END).tolist() == ids_of([5, 14, 2])[:, :14].tolist()
