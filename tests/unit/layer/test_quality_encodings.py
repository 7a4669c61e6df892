"""What the certificate takes for the API's smaller outputs: docs/api.md's formula, but for a number's last bits."""

import numpy as np
import pytest

from layer.quality.encodings import answers

VECTORS = np.array([[0.6, -0.8, 0.0, 1e-7]], np.float32)  # 4 dimensions: 127 a unit


@pytest.mark.parametrize(
    ("encoding", "row", "right"),
    [
        ("int8", [76, -102, 0, 0], True),
        ("int8", [77, -102, 0, 0], False),
        ("int8", [76, -102, 0], False),
        ("binary", [0b10010000 - 128], True),
        ("binary", [0b10000000 - 128], True),  # the bit of what is nearly 0
        ("binary", [0b00010000 - 128], False),
    ],
)
def test_a_number_may_be_off_only_where_the_last_bits_decide(encoding: str, row: list[int], right: bool) -> None:
    assert answers([row], VECTORS, encoding) is right


def test_a_number_halfway_may_be_either() -> None:
    halfway = np.array([[10.5 / 127, 0, 0, 0]], np.float32)
    assert answers([[10, 0, 0, 0]], halfway, "int8")
    assert answers([[11, 0, 0, 0]], halfway, "int8")
    assert not answers([[12, 0, 0, 0]], halfway, "int8")
