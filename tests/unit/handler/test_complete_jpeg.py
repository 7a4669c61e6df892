"""What T.81 allows in a complete JPEG, and few encoders write: what is complete is decoded, the rest is refused."""

import io
import tracemalloc
from typing import Any

import pytest
from PIL import Image

from handler.imaging.decode import decode, read_header
from tests.unit import jpeg_scans
from tests.unit.fake_bundle import encoded
from tests.unit.handler.test_image_damage import LIMIT, code_of, photo

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


@pytest.mark.parametrize("name", ["no Cr", "only Y", "half of Y", "half of Cb", "half of Cr"])
def test_a_scan_of_each_component_has_to_be_complete(name: str) -> None:
    assert code_of(jpeg_scans.damaged(photo(200, 160))[name]) == "truncated_image"


def test_a_complete_file_with_a_scan_for_each_component_is_decoded() -> None:
    head, scans = jpeg_scans.head_and_scans(photo(200, 160))
    for order in (scans, scans[::-1]):
        data = head + b"".join(order) + jpeg_scans.END
        assert decode(data, LIMIT).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_the_coefficients_of_several_scans_are_held_at_a_reduced_scale_too() -> None:
    """libjpeg keeps two bytes of each sample then: three samples of a pixel take 6 bytes, of the 4 that a pixel has."""
    head, scans = jpeg_scans.head_and_scans(Image.new("RGB", (4000, 4000)))
    header = read_header(head + b"".join(scans) + jpeg_scans.END, 20_000_000, lambda *_: (224, 224))
    assert (header.scale, header.held > 1.5 * 4000 * 4000) == (8, True)


def test_restart_markers_are_counted_without_keeping_them() -> None:
    """A file in S3 may have 12 million of them, which took 700 MB in a list."""
    data = encoded(photo(200, 160), "JPEG", restart_marker_blocks=4)
    many = data.removesuffix(jpeg_scans.END) + b"\xff\xd0" * 1_000_000
    tracemalloc.start()
    try:
        read_header(many, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(many)
    finally:
        tracemalloc.stop()
