"""What a format allows and few encoders write is embedded as Pillow opens it, and turned as Pillow turns it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from handler.imaging.decode import decode
from tests.unit.fake_bundle import encoded
from tests.unit.handler.test_image_damage import LIMIT, chunk, photo


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def bitmap(rows: bytes, width: int, height: int, bits: int, compression: int = 0) -> bytes:
    """A BMP with a header of 40 bytes, and a table of 16 grays for 4 bits."""
    table = b"".join(bytes((17 * gray,)) * 3 + b"\0" for gray in range(16)) if bits == 4 else b""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0)
    start = 54 + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + head + table + rows


def test_a_bitmap_may_begin_with_its_top_row() -> None:
    image = photo(8, 6)
    rows = b"".join(bytes(image.getpixel((x, y))[::-1]) for y in range(6) for x in range(8))  # type: ignore[index]
    data = bitmap(rows, 8, -6, 24)
    assert decode(data, LIMIT).tobytes() == image.tobytes() == opened(data).tobytes()


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7])
def test_a_run_of_4_bits_may_have_any_number_of_pixels_as_they_are(count: int) -> None:
    """Two in a byte, and padded to an even number of bytes: BITMAPINFOHEADER, BI_RLE4."""
    samples = bytes(range(1, count + 1))
    pairs = samples + bytes(count % 2)
    packed = bytes(high << 4 | low for high, low in zip(pairs[::2], pairs[1::2], strict=True))
    row = bytes((0, count)) + packed + bytes(len(packed) % 2) + b"\0\0"
    data = bitmap(row * 2 + b"\0\1", count, 2, 4, 2)
    assert np.asarray(decode(data, LIMIT).convert("L")).tolist() == [[17 * one for one in samples]] * 2


def test_a_gif_s_transparent_index_counts_only_where_it_is_said_to() -> None:
    data = bytearray(encoded(photo().quantize(8), "GIF", transparency=3))
    at = data.index(b"!\xf9\4") + 3
    assert data[at] & 1
    data[at] &= 0xFE
    assert decode(bytes(data), LIMIT).convert("RGB").tobytes() == opened(bytes(data)).convert("RGB").tobytes()


def test_a_png_is_turned_by_an_exif_behind_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo(), "PNG")
    late = data[:-12] + chunk(b"tEXt", b"a\0b") + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:]
    expected = photo().transpose(Image.Transpose.ROTATE_270)  # Exif 2.32: 6 is shown turned by 90 degrees clockwise
    assert decode(late, LIMIT, upright=True).tobytes() == expected.tobytes()
