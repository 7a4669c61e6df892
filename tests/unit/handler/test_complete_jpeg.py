"""What T.81 allows in a complete JPEG, and few encoders write: no pixel of it is taken for missing."""

from typing import Any

import pytest

from handler.imaging.decode import decode
from tests.unit.fake_bundle import encoded
from tests.unit.handler.test_image_damage import LIMIT, photo

MARKERS = [bytes((0xFF, marker)) for marker in (0xC4, *range(0xD0, 0xD8), 0xD9, 0xDA)]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("fill", [1, 2, 3])
def test_fill_bytes_before_a_marker_are_no_damage(options: dict[str, Any], fill: int) -> None:
    image = photo(200, 160)
    image.paste((128, 128, 128), (0, 80, 200, 160))
    data = plain = encoded(image, "JPEG", **options)
    for marker in MARKERS:
        data = data.replace(marker, b"\xff" * fill + marker)
    for filled in (data, data.removesuffix(b"\xd9")):
        assert decode(filled, LIMIT).tobytes() == decode(plain, LIMIT).tobytes()
