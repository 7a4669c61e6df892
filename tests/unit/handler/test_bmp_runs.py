"""A bitmap of runs says every pixel, or is refused: Pillow takes color 0 for those that it leaves out."""

import struct

import pytest

from handler.errors import ImageError
from handler.imaging.decode import decode

LIMIT = 40_000_000


def rle(runs: bytes, compression: int = 1) -> bytes:
    """A BMP of 4x2 pixels in runs, whose palette is blue and red."""
    head = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8 // compression, compression, len(runs), 0, 0, 2, 0)
    return b"BM" + struct.pack("<IHHI", 62 + len(runs), 0, 0, 62) + head + b"\xff\0\0\0\0\0\xff\0" + runs


@pytest.mark.parametrize(
    ("runs", "compression"),
    [(b"\4\1\0\0\4\1\0\1", 1), (b"\0\4\1\1\1\1\0\0\4\1\0\0\0\1", 1), (b"\4\x11\0\0\0\4\x11\x11\0\1", 2)],
)
def test_runs_that_say_every_pixel_are_embedded(runs: bytes, compression: int) -> None:
    assert decode(rle(runs, compression), LIMIT).convert("RGB").getcolors() == [(8, (255, 0, 0))]


@pytest.mark.parametrize(
    "runs", [b"\3\1\0\0\4\1\0\1", b"\4\1\0\0\0\2\1\0\3\1\0\1", b"\0\0\4\1\4\1\0\1", b"\4\1\0\0\3\1\0\1"]
)
def test_runs_that_leave_pixels_out_are_refused(runs: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        decode(rle(runs), LIMIT)
    assert caught.value.code == "truncated_image"
