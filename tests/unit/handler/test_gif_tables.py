"""Where a GIF has its colors (GIF89a, "Global Color Table" and "Local Color Table"): as Pillow takes them."""

import io

import numpy as np
import pytest
from PIL import Image

from handler.imaging.decode import decode
from handler.settings import Settings
from tests.unit.fake_bundle import encoded

TABLE = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9))
OTHER = bytes(range(100, 112))
COMMENT = b"!\xfe\3,,,\2;,\0"  # of bytes that begin a frame and end a file elsewhere


def gif(in_all: bytes, of_frame: bytes, before: bytes = b"") -> bytes:
    """Four pixels of colors 0 to 3, with these tables; an empty one is not there."""
    image = Image.new("P", (4, 1))
    image.putdata(range(4))
    image.putpalette(TABLE)
    data = encoded(image, "GIF", optimize=False)
    size = 3 << ((data[10] & 7) + 1)
    at = data.index(b",", 13 + size)
    head, frame = bytearray(data[:13]), bytearray(data[at : at + 10])
    head[10] = 0x81 if in_all else 0
    frame[9] = 0x81 if of_frame else 0
    return bytes(head) + in_all + before + bytes(frame) + of_frame + data[at + 10 :]


@pytest.mark.parametrize(
    ("in_all", "of_frame", "colors"),
    [
        (TABLE, b"", TABLE),
        (b"", TABLE, TABLE),
        (OTHER, TABLE, TABLE),
        (b"", b"", bytes((0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3))),  # none: indices are gray
    ],
)
@pytest.mark.parametrize("before", [b"", COMMENT, b"\0\0"])
def test_the_frame_s_own_table_counts_then_that_of_all_frames(
    in_all: bytes, of_frame: bytes, colors: bytes, before: bytes
) -> None:
    data = gif(in_all, of_frame, before)
    found = np.asarray(decode(data, Settings().max_image_pixels).convert("RGB"))
    assert found.tobytes() == colors
    np.testing.assert_array_equal(found, Image.open(io.BytesIO(data)).convert("RGB"))
