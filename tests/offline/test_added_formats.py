"""AVIF and HEIC reach a model as open_clip's own transform gives them, of what Pillow and pillow-heif open."""

from typing import Any

import numpy as np
import pytest

from handler.imaging.decode import decode
from handler.imaging.preprocess import Preprocess
from tests.offline.test_preprocess import RESIZE_MODES, by_open_clip, config
from tests.unit.fake_bundle import encoded
from tests.unit.handler.test_added_formats import BOTH, picture
from tests.unit.heif_files import opened


@pytest.mark.parametrize("resize_mode", RESIZE_MODES)
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("AVIF", "RGB", {}),
        ("AVIF", "L", {}),
        ("AVIF", "RGB", {"subsampling": "4:4:4", "range": "limited"}),
        ("HEIF", "RGB", {}),
        ("HEIF", "L", {}),
        ("HEIF", "RGB", {"tile_size": 64}),
    ],
)
def test_every_bit_is_open_clips(kind: str, mode: str, options: dict[str, Any], resize_mode: str) -> None:
    data, cfg = encoded(picture(301, 203, mode), kind, **options), config(resize_mode=resize_mode)
    found = Preprocess(cfg, (64, 64))(decode(data, 1_000_000, added=BOTH))
    assert np.array_equal(found, by_open_clip(opened(data), (64, 64), cfg))
