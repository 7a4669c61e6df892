"""WebP files that cost much for their bytes or pixels, or that say another size than they have."""

import struct
from collections.abc import Callable

from PIL import Image

from tests.unit.fake_bundle import encoded
from tests.unit.lossless_webp import read_slowly, stream

WEBP = encoded(Image.new("RGB", (8, 8), (200, 10, 30)), "WEBP")


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def groups(width: int, height: int, count: int, alpha: bool = False) -> Callable[[int, int], bytes]:
    """A lossless WebP, or the lossless transparency of one, of so many groups of Huffman codes."""

    def make(*_: int) -> bytes:
        size = struct.pack("<I", width - 1 | height - 1 << 14)
        chunks = riff(b"VP8L", b"\x2f" + size + stream(width, height, count))
        if alpha:
            canvas = riff(b"VP8X", struct.pack("<BxxxHBHB", 16, width - 1, 0, height - 1, 0))
            lossy = encoded(Image.new("RGB", (width, height)), "WEBP")[12:]
            chunks = canvas + riff(b"ALPH", b"\1" + stream(width, height, count)) + lossy
        return riff(b"RIFF", b"WEBP" + chunks)

    return make


def lossless(width: int, height: int, pixels: bytes) -> bytes:
    """A WebP of a lossless stream."""
    size = struct.pack("<I", width - 1 | height - 1 << 14)
    return riff(b"RIFF", b"WEBP" + riff(b"VP8L", b"\x2f" + size + pixels))


def slow_webp(width: int, height: int) -> bytes:
    """A lossless WebP that takes a code for every 200th pixel to be read."""
    return lossless(width, height, read_slowly(width * height // 1_600))


def small_frame(*_: int) -> bytes:
    """An animation whose first frame says that it has one pixel, and has a million of so many transparent groups."""
    alpha = riff(b"ALPH", b"\1" + stream(1_024, 1_024, 65_536))
    frame = riff(b"ANMF", bytes(16) + alpha + encoded(Image.new("RGB", (1_024, 1_024)), "WEBP")[12:])
    canvas = riff(b"VP8X", struct.pack("<BxxxHBHB", 0x12, 1_023, 0, 1_023, 0))
    return riff(b"RIFF", b"WEBP" + canvas + riff(b"ANIM", bytes(6)) + frame)


def vast_frame(_: int, size: int) -> bytes:
    """An animation of 8x8 pixels whose first frame says that it has 16,777,216x16,777,216, and is transparent."""
    alpha = riff(b"ALPH", b"\1" + read_slowly(size - 500))
    frame = riff(b"ANMF", bytes(6) + b"\xff" * 6 + bytes(4) + alpha + WEBP[12:])
    canvas = riff(b"VP8X", struct.pack("<BxxxHBHB", 0x12, 7, 0, 7, 0))
    return riff(b"RIFF", b"WEBP" + canvas + riff(b"ANIM", bytes(6)) + frame)


def padded_webp(data: bytes) -> bytes:
    """A WebP of one chunk, which ends in zeros that no pixel needs."""
    return riff(b"RIFF", b"WEBP" + riff(data[12:16], data[20:] + bytes(1_000)))
