"""Embeddings that are kept are taken again, and computed again where their file is damaged."""

from pathlib import Path

import numpy as np
import pytest

from layer.quality.embedding import Embedded
from layer.quality.vector_cache import cached

MADE = Embedded(np.eye(2, dtype=np.float32), np.eye(3, dtype=np.float32), {"image": {7: "cut off"}, "text": {}})


def test_they_are_kept(tmp_path: Path) -> None:
    cached(tmp_path, "a" * 64, lambda: MADE)
    kept = cached(tmp_path, "a" * 64, lambda: pytest.fail("they were computed again"))

    assert (kept.images.tolist(), kept.texts.tolist()) == (MADE.images.tolist(), MADE.texts.tolist())
    assert kept.refused == MADE.refused


@pytest.mark.parametrize("length", [0, 1, 100, 600])
def test_a_file_of_which_a_power_failure_left_a_part_is_made_anew(tmp_path: Path, length: int) -> None:
    cached(tmp_path, "a" * 64, lambda: MADE)
    [path] = (tmp_path / "quality").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:length])

    assert cached(tmp_path, "a" * 64, lambda: MADE) is MADE
    assert len(path.read_bytes()) == len(whole) > 600
