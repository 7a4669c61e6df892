"""Images that are made to cost time. Each maker takes the pixels and the bytes that one image may have."""

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.unit.fake_bundle import encoded
from tests.unit.hostile_webp import WEBP, groups, lossless, padded_webp, riff, slow_webp, small_frame, vast_frame
from tests.unit.lossless_webp import cached

Maker = Callable[[int, int], bytes]


def sides(pixels: int) -> tuple[int, int]:
    width = int((pixels * 4 / 3) ** 0.5)
    return width, pixels // width


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def repeated(part: bytes, size: int) -> bytes:
    return part * (size // len(part))


SMALL = Image.new("RGB", (8, 8), (200, 10, 30))
JPEG, PNG, GIF = (encoded(SMALL, kind) for kind in ("JPEG", "PNG", "GIF"))


def jpeg_of(part: bytes) -> Maker:
    return lambda _, size: JPEG[:2] + repeated(part, size) + JPEG[2:]


def png_of(part: bytes, at: int = 33) -> Maker:
    return lambda _, size: PNG[:at] + repeated(part, size) + PNG[at:]


def gif_of(part: bytes, head: bytes = b"", tail: bytes = b"") -> Maker:
    at = GIF.rindex(b",")
    return lambda _, size: GIF[:at] + head + repeated(part, size) + tail + GIF[at:]


def webp_of(part: bytes) -> Maker:
    canvas = riff(b"VP8X", struct.pack("<BxxxHBHB", 0, 7, 0, 7, 0))
    return lambda _, size: WEBP[:12] + canvas + repeated(part, size) + WEBP[12:]


def scans(share: float, count: int, mode: str = "L", progressive: bool = True) -> Maker:
    """A JPEG of a share of the pixels that repeats its last scan."""

    def make(pixels: int, _: int) -> bytes:
        flat = encoded(Image.new(mode, sides(int(pixels * share)), 90), "JPEG", progressive=progressive)
        last = flat[flat.rindex(b"\xff\xda") : -2]
        return flat[:-2] + last * (count - flat.count(b"\xff\xda")) + flat[-2:]

    return make


def png(share: float, depth: int, color: int, *, interlace: bool = False, filters: int = 4, rows: float = 1) -> Maker:
    """A PNG of the fewest bytes and the most work: one filter in every row, all samples 0."""

    def make(pixels: int, _: int) -> bytes:
        width, height = sides(int(pixels * share))
        bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
        steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        packer, packed = zlib.compressobj(1), []
        for left, top, across, down in steps if interlace else [(0, 0, 1, 1)]:
            row = bytes([filters]) + bytes((-(-(width - left) // across) * bits + 7) // 8)
            packed += [packer.compress(row) for _ in range(int(-(-(height - top) // down) * rows))]
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace))
        extra = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(range(256))) if color == 3 else b""
        return PNG[:8] + head + extra + chunk(b"IDAT", b"".join(packed) + packer.flush()) + chunk(b"IEND", b"")

    return make


def image(kind: str, mode: str, color: int | tuple[int, ...] = 0, **options: object) -> Maker:
    return lambda pixels, _: encoded(Image.new(mode, sides(pixels), color), kind, **options)


def vanishing(kind: str) -> Maker:
    """White on nothing: put on white first, then on black."""

    def make(pixels: int, _: int) -> bytes:
        one = Image.new("RGBA", sides(pixels), (255, 255, 255, 200))
        one.putpixel((0, 0), (255, 255, 255, 0))
        return encoded(one, kind, lossless=True, method=0)

    return make


def bmp_rle(compression: int, run: int) -> Maker:
    def make(pixels: int, size: int) -> bytes:
        width = run * 300
        height = min(size // 602, pixels // width)
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8 // compression, compression, 0, 0, 0, 0, 0)
        head += bytes(4 << (8 // compression))
        rows = (bytes((run, 1)) * 300 + b"\0\0") * height
        return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head)) + head + rows

    return make


def noise(pixels: int) -> Image.Image:
    return Image.effect_noise(sides(pixels), 30).convert("RGB")


def narrow(size: tuple[int, int], mode: str) -> Maker:
    return lambda *_: encoded(Image.new(mode, size), "PNG")


def sampled(pixels: int, _: int) -> bytes:
    """A JPEG whose colors have four times the samples of its brightness."""
    data = bytearray(encoded(Image.new("RGB", sides(pixels)), "JPEG", progressive=True))
    at = data.index(b"\xff\xc2") + 11
    data[at], data[at + 3], data[at + 6] = 0x11, 0x22, 0x22
    return bytes(data)


BOMB = zlib.compress(bytes(1 << 20), 9)
HOSTILE: dict[str, Maker] = {
    "JPEG, EXIF segments": jpeg_of(segment(0xE1, b"Exif\0\0x")),
    "JPEG, empty segments": jpeg_of(segment(0xE5, b"")),
    "JPEG, comments": jpeg_of(segment(0xFE, b"")),
    "JPEG, tables": jpeg_of(JPEG[JPEG.index(b"\xff\xdb") :][:69]),
    "JPEG, restart intervals": jpeg_of(segment(0xDD, b"\0\0")),
    "JPEG, stuffing": jpeg_of(b"\xff\0"),
    "JPEG, fill": jpeg_of(b"\xff"),
    "JPEG, restarts": jpeg_of(b"\xff\xd0"),
    "JPEG, junk": lambda _, size: JPEG[:20] + bytes(size) + JPEG[20:],
    "JPEG, profiles": jpeg_of(segment(0xE2, b"ICC_PROFILE\0\1\1")),
    "JPEG, Adobe": jpeg_of(segment(0xEE, b"Adobe" + bytes(7))),
    "JPEG, images behind": lambda _, size: repeated(JPEG, size),
    "JPEG, many frames": lambda _, size: JPEG[:-2] + repeated(b"\xff\0", size),
    "JPEG, 3,990 scans": scans(0.025, 3_990),
    "JPEG, 60,000 scans": scans(0.001, 60_000),
    "JPEG, 100 scans": scans(0.2, 100),
    "JPEG, 90 scans": scans(0.3, 90),
    "JPEG, 30 scans": scans(1, 30),
    "JPEG, 20 scans": scans(1, 20),
    "JPEG, 16 scans": scans(1, 16),
    "JPEG, color scans": scans(1, 14, "RGB"),
    "JPEG, CMYK scans": scans(0.85, 18, "CMYK"),
    "JPEG, sequential scans": scans(1, 12, "L", False),
    "JPEG, gray progressive": image("JPEG", "RGB", (128, 128, 128), progressive=True, subsampling=0),
    "JPEG, gray, no end": lambda pixels, _: encoded(Image.new("RGB", sides(pixels), (128,) * 3), "JPEG")[:-2],
    "JPEG, 16 scans, no end": lambda pixels, _: scans(1, 16)(pixels, 0)[:-2],
    "JPEG, zeros at its end": lambda pixels, size: encoded(noise(pixels), "JPEG", quality=30)[:-2] + bytes(size // 9),
    "JPEG, a restart each unit": image("JPEG", "L", 128, restart_marker_blocks=1),
    "JPEG, sampling of colors": sampled,
    "PNG, chunks": png_of(chunk(b"abCd", b"")),
    "PNG, chunks behind": png_of(chunk(b"abCd", b""), -12),
    "PNG, empty pixels": png_of(chunk(b"IDAT", b"")),
    "PNG, texts": png_of(chunk(b"zTXt", b"a\0\0" + BOMB)),
    "PNG, profiles": png_of(chunk(b"iCCP", b"a\0\0" + BOMB)),
    "PNG, frames": png_of(chunk(b"fcTL", bytes(26)), -12),
    "PNG, one text of 4 GB": lambda _, size: (
        PNG[:33] + chunk(b"zTXt", b"a\0\0" + BOMB * (size // len(BOMB))) + PNG[33:]
    ),
    "PNG, pixels behind its pixels": lambda _, size: PNG[:-12] + chunk(b"IDAT", BOMB * (size // len(BOMB))) + PNG[-12:],
    "PNG, 16-bit RGBA": png(0.66, 16, 6),
    "PNG, 16-bit RGBA, interlaced": png(0.66, 16, 6, interlace=True),
    "PNG, 16-bit RGBA of all pixels": png(1, 16, 6),
    "PNG, 16-bit RGB": png(1, 16, 2),
    "PNG, RGBA": png(1, 8, 6),
    "PNG, RGBA, interlaced": png(1, 8, 6, interlace=True),
    "PNG, 16-bit gray": png(1, 16, 0, interlace=True),
    "PNG, 16-bit gray and alpha": png(1, 16, 4, interlace=True),
    "PNG, palette with alpha": png(1, 8, 3, interlace=True, filters=0),
    "PNG, 1 bit, interlaced": png(1, 1, 0, interlace=True),
    "PNG, half its rows": png(1, 8, 6, rows=0.5),
    "PNG, white on nothing": vanishing("PNG"),
    "PNG, tall and narrow": narrow((1, 2000), "RGBA"),
    "PNG, flat": narrow((2000, 1), "RGB"),
    "GIF, comments": gif_of(b"!\xfe\1a\0"),
    "GIF, one comment": gif_of(b"\1a", b"!\xfe", b"\0"),
    "GIF, nothing": gif_of(b"\0"),
    "GIF, controls": gif_of(b"!\xf9\4\1\0\0\0\0"),
    "GIF, pixels in blocks of 1": lambda _, size: GIF[:-2] + repeated(b"\1\0", size) + b"\0;",
    "GIF, frames": lambda _, size: GIF[:-1] + repeated(GIF[GIF.rindex(b",") : -1], size),
    "GIF, all pixels": image("GIF", "P", 3),
    "WebP, chunks": webp_of(riff(b"abcd", b"")),
    "WebP, EXIF": webp_of(riff(b"EXIF", b"II*\0")),
    "WebP, frames": lambda _, size: (
        WEBP[:12]
        + riff(b"VP8X", struct.pack("<BxxxHBHB", 2, 7, 0, 7, 0))
        + riff(b"ANIM", bytes(6))
        + repeated(riff(b"ANMF", bytes(6) + b"\7\0\0\7\0\0" + bytes(4) + WEBP[12:]), size)
    ),
    "WebP, lossless": image("WEBP", "RGB", lossless=True, method=0),
    "WebP, white on nothing": vanishing("WEBP"),
    "WebP, 65,536 Huffman groups": groups(1_024, 1_024, 65_536),
    "WebP, Huffman groups of all pixels": groups(2_300, 1_700, 65_536),
    "WebP, Huffman groups of transparency": groups(1_024, 1_024, 65_536, alpha=True),
    "WebP, Huffman groups of a frame that says it is small": small_frame,
    "WebP, a frame that says it is larger than all": vast_frame,
    "WebP, larger than the limit, read slowly": lambda *_: slow_webp(16_384, 16_384),
    "WebP, a cache of 2^15 colors": lambda *_: lossless(512, 512, cached(15)),
    "WebP, few Huffman groups": groups(1_024, 1_024, 4_000),
    "WebP, zeros behind its pixels": lambda pixels, _: padded_webp(encoded(noise(pixels), "WEBP", quality=30)),
    "BMP, short runs": bmp_rle(1, 1),
    "BMP, runs": bmp_rle(1, 200),
    "BMP, runs of 4 bits": bmp_rle(2, 200),
}
