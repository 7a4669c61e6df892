"""Texts share rows: no token sees another text, hardly any padding is computed, and each vector is in its place."""

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.engines.packed_texts import ROW, Packed, pack

END, LONGEST = 99, 77


def ids_of(lengths: list[int]) -> NDArray[np.int64]:
    """Return texts whose tokens tell the text and the position: 1000 * text + position, and END."""
    ids = np.zeros((len(lengths), LONGEST), np.int64)
    for text, length in enumerate(lengths):
        ids[text, :length] = 1000 * (text + 1) + np.arange(length)
        ids[text, length - 1] = END
    return ids


def seen_by(packed: Packed, token: int) -> list[int]:
    """Return the ids that a token attends to, by the mask."""
    row, place = divmod(token, packed.ids.shape[1])
    return list(packed.ids[row][packed.mask[row, 0, place] == 0])


LENGTHS = [[5], [2, 2], [77], [14] * 32, [5] * 31 + [77], [77] * 9, list(range(2, 70)), [64, 64, 3]]


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)}-{max(lengths)}")
def test_the_end_of_a_text_sees_all_of_its_own_tokens_and_no_other(lengths: list[int]) -> None:
    ids, packed = ids_of(lengths), pack(ids_of(lengths), END)

    ends = packed.ends.reshape(-1)[packed.picked]

    assert [seen_by(packed, end) for end in ends] == [
        row[:length].tolist() for row, length in zip(ids, lengths, strict=True)
    ]


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)}-{max(lengths)}")
def test_a_token_sees_the_earlier_tokens_of_its_text_and_has_its_position_there(lengths: list[int]) -> None:
    packed = pack(ids_of(lengths), END)
    for token, (own, position) in enumerate(zip(packed.ids.flat, packed.positions.flat, strict=True)):
        seen = seen_by(packed, token)
        assert seen  # of padding too: a softmax over nothing is no number
        if own >= 1000:
            assert seen == list(range(own - position, own + 1))


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)}-{max(lengths)}")
def test_hardly_any_padding_is_computed(lengths: list[int]) -> None:
    rows, width = pack(ids_of(lengths), END).ids.shape

    assert width <= max(ROW, *lengths) + max(lengths)
    assert rows * width <= 1.4 * sum(lengths)


def test_one_text_is_computed_as_long_as_it_is() -> None:
    packed = pack(ids_of([14]), END)

    assert (packed.ids.shape, packed.ends.shape, packed.mask.shape) == ((1, 14), (1, 1), (1, 1, 14, 14))


def test_without_an_end_token_the_highest_id_ends_a_text() -> None:
    ids = np.array([[5, 9, 0, 0], [5, 6, 7, 9]])

    packed = pack(ids, None)

    assert packed.ids.tolist() == [[5, 6, 7, 9, 5, 9]]
    assert packed.ends.reshape(-1)[packed.picked].tolist() == [5, 3]
