"""What a scaled image shows: as the API shows the file itself, whatever the file has for transparency or 16 bits."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from openclip_lambda.errors import InputError
from openclip_lambda.images import Scaling, of_pillow, prepared
from PIL import Image

from tests.unit.fake_bundle import encoded

SIDE = 64
LEFT = np.tile(np.arange(2 * SIDE) < SIDE, (2 * SIDE, 1))  # the half that is seen
GRAY, KEY = 0x55, 0xFF  # of that half, and of the other


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def gray_png(depth: int) -> bytes:
    """Write a gray PNG by the PNG specification (11.3.2.1: tRNS holds a sample of the image's own depth)."""
    most = 2**depth - 1
    samples = np.where(LEFT, GRAY * most // 255, most)
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        bits = (samples[:, :, None] >> np.arange(depth)[::-1]) & 1
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    header = struct.pack(">IIBBBBB", 2 * SIDE, 2 * SIDE, depth, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">H", most)) + chunk(b"IDAT", pixels)
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IEND", b"")


def rgb_png() -> bytes:
    samples = np.where(LEFT[:, :, None], np.uint8(GRAY), np.array([255, 0, 255], np.uint8))
    return encoded(Image.fromarray(samples), "PNG", transparency=(255, 0, 255))


def bitmap(alpha: int) -> bytes:
    """Write a BMP of 32 bits with a mask for alpha (BITMAPV4HEADER)."""
    samples = np.where(LEFT, np.uint8(GRAY), np.uint8(KEY))
    pixels = np.dstack([samples, samples, samples, np.full_like(samples, alpha)]).tobytes()
    size = struct.pack("<IiiHHIIiiII", 108, 2 * SIDE, 2 * SIDE, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    header = (size + struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)).ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 14 + 108) + header + pixels


def halves(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return RGBA in the middle of the left and of the right half of what is sent, of a file or of Pillow's image."""
    sent, of_library = (
        np.asarray(Image.open(io.BytesIO(one)).convert("RGBA"))
        for one in (prepared(data, "a", Scaling(SIDE)), of_pillow(Image.open(io.BytesIO(data)), Scaling(SIDE)))
    )
    assert sent.shape[:2] == (SIDE, SIDE)
    assert abs(sent.astype(int) - of_library).max() < 3  # one of them may be a JPEG
    return sent[SIDE // 2, SIDE // 4], sent[SIDE // 2, 3 * SIDE // 4]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_gray_stays_transparent(depth: int) -> None:
    left, right = halves(gray_png(depth))
    assert left.tolist() == [GRAY if depth > 1 else 0] * 3 + [255]
    assert right[3] == 0


def test_a_transparent_color_stays_transparent() -> None:
    left, right = halves(rgb_png())
    assert left.tolist() == [GRAY, GRAY, GRAY, 255]
    assert right[3] == 0


def test_a_bitmap_whose_alpha_nobody_filled_is_opaque() -> None:
    left, right = halves(bitmap(0))
    assert left.tolist() == [GRAY, GRAY, GRAY, 255]
    assert right.tolist() == [KEY, KEY, KEY, 255]
    assert halves(bitmap(128))[0][3] == 128


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_that_are_one_gray_to_a_viewer_are_told(kind: str) -> None:
    samples = np.arange(200, dtype=np.uint16).repeat(200).reshape(200, 200)
    with pytest.raises(InputError, match="from 0 to 199, one gray to a viewer: stretch them over 0 to 65,535"):
        prepared(encoded(Image.fromarray(samples), kind), "a", Scaling(SIDE))
    one = Image.fromarray(np.full((200, 200), 4_000, np.uint16))
    assert prepared(encoded(one, kind), "a", Scaling(SIDE))
