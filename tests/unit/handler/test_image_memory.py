"""What decoding one of the five formats takes of memory: at most 14 bytes a pixel, also where it is transparent.

A function is killed, with every request in it, where two images of a small body take more than it has.
"""

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.unit.fake_bundle import encoded
from tests.unit.hostile_webp import padded_webp

SIDE = 2_500
MOST = 14  # bytes a pixel: docs/api.md, "Cost"; AVIF and HEIC are in test_hostile_heif.py
ROOT = Path(__file__).parents[3]
LIGHT = (255, 255, 255, 3), (255, 255, 255, 255)  # seen on black alone, which is tried after white
PROGRAM = """
import sys
from handler.imaging.decode import decode
def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) * 1024
data, small = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
decode(small, 40_000_000)
open("/proc/self/clear_refs", "w").write("5")
before = peak()
image = decode(data, 40_000_000)
print(image.width * image.height, peak() - before)
"""


def halves(side: int, mode: str = "RGBA") -> Image.Image:
    image = Image.new("RGBA", (side, side), LIGHT[0])
    image.paste(LIGHT[1], (0, 0, side // 2, side))
    return image.convert(mode)


def gif(side: int, frame: int) -> bytes:
    """A screen of `side` with a smaller frame, whose colors are light."""
    image = Image.new("P", (frame, frame))
    image.putpalette([255, 255, 255, 240, 240, 240])
    image.paste(1, (0, 0, frame // 2, frame))
    data = bytearray(encoded(image, "GIF", transparency=0))
    data[6:10] = side.to_bytes(2, "little") * 2
    return bytes(data)


def gray_16(side: int) -> bytes:
    """Gray of 16 bits with a transparent gray, by the PNG specification (11.3.2.1)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes((16, 0, 0, 0, 0))
    rows = (b"\0" + b"\xff\xff" * (side // 2) + b"\xee\0" * (side - side // 2)) * side
    body = [chunk(b"IHDR", header), chunk(b"tRNS", b"\xee\0"), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def palette(side: int) -> bytes:
    image = Image.new("P", (side, side))
    image.putpalette([255] * 768)
    image.paste(1, (0, 0, side // 2, side))
    return encoded(image, "PNG", transparency=bytes([0, 255]))


def of(kind: str, mode: str, **options: Any) -> Callable[[int], bytes]:
    return lambda side: encoded(halves(side, mode), kind, **options)


IMAGES: dict[str, Callable[[int], bytes]] = {
    "PNG, RGBA": of("PNG", "RGBA"),
    "PNG, gray with alpha": of("PNG", "LA"),
    "PNG, RGB": of("PNG", "RGB"),
    "PNG, palette": palette,
    "PNG, gray of 16 bits": gray_16,
    "WebP, alpha": of("WEBP", "RGBA", lossless=True, method=0),
    "WebP": of("WEBP", "RGB"),
    "WebP, alpha, zeros": lambda side: padded_webp(of("WEBP", "RGBA", lossless=True, method=0)(side)),
    "GIF, a small frame": lambda side: gif(side, 64),
    "GIF, a frame without the last row": lambda side: gif(side, side - 1),
    "BMP, alpha": of("BMP", "RGBA"),
    "JPEG, progressive CMYK": of("JPEG", "CMYK", progressive=True),
    "JPEG, progressive CMYK, no end": lambda side: of("JPEG", "CMYK", progressive=True)(side)[:-2],
    "JPEG, progressive CMYK, zeros": lambda side: of("JPEG", "CMYK", progressive=True)(side)[:-2] + bytes(1_000_000),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone tells the peak again")
@pytest.mark.parametrize("name", IMAGES)
def test_an_image_takes_14_bytes_a_pixel_at_most(name: str, tmp_path: Path) -> None:
    for file, side in (("large", SIDE), ("small", 100)):
        (tmp_path / file).write_bytes(IMAGES[name](side))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "large"), str(tmp_path / "small")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    pixels, memory = map(int, done.stdout.split())
    assert pixels == SIDE**2
    assert memory < MOST * pixels, f"{memory / pixels:.1f} bytes a pixel"
