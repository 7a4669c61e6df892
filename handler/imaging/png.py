"""PNG's chunks: only those that are pixels reach the decoder."""

import zlib

from PIL import Image

from handler.imaging.container import PROFILE_HEAD, Container, check_profile, damaged, too_complex, unsupported
from handler.imaging.png_header import GRAY, PALETTE, RGB, Header

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # of each color type
TRANSPARENCY_BYTES = {GRAY: 2, RGB: 6}
MAX_CHUNKS = 20_000  # libpng writes one for each 8 kB
# What a pixel costs beside one of 8-bit RGB: filters run over all its bytes, and transparency is flattened.
WORK = {(16, 2): 2, (16, 4): 2, (8, 6): 1.5, (16, 6): 3}


class _File:
    def __init__(self, header: Header, head: bytes) -> None:
        self.header = header
        self.parts: list[bytes | memoryview] = [head]
        self.pixels: list[bytes | memoryview] = []
        self.has_palette = self.transparent = False
        self.exif = self.profile = b""


def read(data: bytes) -> Container:
    """Read the chunks up to the end of the default image. Raises ImageError."""
    if data[12:16] == b"CgBI":
        unsupported("a PNG that is optimized for iOS", "send the original")
    header = _header(data)
    file = _File(header, data[:33])
    _walk(data, file)
    if not file.pixels or (header.color == PALETTE and not file.has_palette):
        damaged("PNG", "no pixels" if not file.pixels else "no palette")
    check_profile("PNG", file.profile)
    if file.transparent and (header.depth, header.color) == (16, RGB):
        unsupported("a PNG of 16 bits with a transparent color", "save it with 8 bits, or with an alpha channel")
    work = int(header.width * header.height * WORK.get((header.depth, header.color), 1))
    parts = [*file.parts, *file.pixels, _chunk(b"IEND", b"")]

    def finish(container: Container) -> Image.Image:
        from handler.imaging import png_pixels

        return png_pixels.load(container, header)

    return Container("PNG", header.width, header.height, work, parts, finish, file.exif)


def _header(data: bytes) -> Header:
    if len(data) < 33 or data[8:16] != b"\0\0\0\x0dIHDR" or not _is_sound(data, 8, 13):
        damaged("PNG", "its header")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    depth, color, compression, filters, interlace = data[24:29]
    known = depth in DEPTHS.get(color, ()) and (compression, filters) == (0, 0) and interlace in (0, 1)
    if not known or not 0 < width < 1 << 31 or not 0 < height < 1 << 31:
        damaged("PNG", "its header")
    return Header(width, height, depth, color)


def _walk(data: bytes, file: _File) -> None:
    at, view = 33, memoryview(data)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"IEND" or (file.pixels and kind != b"IDAT"):
            _take_late(data, file, at)
            return
        complete = at + 12 + length <= len(data)
        if kind == b"IDAT":
            if complete and not _is_sound(data, at, length):
                damaged("PNG", "a checksum of its pixels is wrong")
            file.pixels.append(
                view[at : at + 12 + length] if complete else _chunk(kind, data[at + 8 : at + 8 + length])
            )
        elif complete:
            _take(data, file, kind, at, length)
        at += 12 + length
    too_complex("PNG", f"more than {MAX_CHUNKS:,} chunks")


def _take(data: bytes, file: _File, kind: bytes, at: int, length: int) -> None:
    """Keep a chunk if decoding needs it. A damaged chunk that is not critical is left out, as browsers do."""
    body, color = data[at + 8 : at + 8 + length], file.header.color
    if kind == b"PLTE" and color == PALETTE:
        if not _is_sound(data, at, length) or length % 3 or not 0 < length <= 768:
            damaged("PNG", "its palette")
        file.parts.append(_chunk(kind, body))
        file.has_palette = True
    elif kind == b"tRNS" and not file.transparent and _is_sound(data, at, length):
        if (color == PALETTE and 0 < length <= 256) or length == TRANSPARENCY_BYTES.get(color):
            file.parts.append(_chunk(kind, body))
            file.transparent = True
    elif kind == b"eXIf" and not file.exif:
        file.exif = body
    elif kind == b"iCCP" and not file.profile:
        file.profile = _profile(body)


def _take_late(data: bytes, file: _File, at: int) -> None:
    """Find the EXIF that stands behind the pixels."""
    for _ in range(MAX_CHUNKS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind in (b"", b"IEND") or file.exif:
            return
        if kind == b"eXIf":
            file.exif = data[at + 8 : at + 8 + length]
        at += 12 + length


def _profile(body: bytes) -> bytes:
    """Inflate the beginning of a profile, and no more of it."""
    name, _, rest = body[:82].partition(b"\0")
    try:
        return zlib.decompressobj().decompress(body[len(name) + 2 :][:4096], PROFILE_HEAD) if rest else b""
    except zlib.error:
        return b""


def _is_sound(data: bytes, at: int, length: int) -> bool:
    end = at + 8 + length
    return zlib.crc32(memoryview(data)[at + 4 : end]) == int.from_bytes(data[end : end + 4], "big")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
