"""AVIF and HEIC that are made to cost time or memory, or to lie, each with what comes of it."""

import struct
from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from tests.unit.heif_files import Item, auxiliary, box, coded, file, full, grid, size

SQUARE = Image.radial_gradient("L").resize((64, 64)).convert("RGB")
SMALL, HEVC = coded(SQUARE), coded(SQUARE, "HEIF")
PLAIN = file([SMALL])
PADDING = bytes((0x7A, 0x80, 0x92, 0xF4, 0x01))  # the head of an OBU of 4,000,000 bytes
PROPERTIES = SMALL.properties[1:]


def obu(kind: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((kind << 3 | 2, len(body))) + body


def bits(*numbers: tuple[int, int]) -> bytes:
    """Numbers, each of so many bits, filled up with zeros."""
    text = "".join(f"{number:0{count}b}" for number, count in numbers)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def frame_of(width: int, height: int) -> bytes:
    """AV1 whose sequence header announces a still image of that size, and a frame of no bytes."""
    sequence = bits((0, 3), (1, 1), (1, 1), (31, 5), (15, 4), (15, 4), (width - 1, 16), (height - 1, 16), (0, 40))
    return obu(2, b"") + obu(1, sequence) + obu(6, bytes(9))


def changing(bits_of_size: int) -> bytes:
    """AV1 of 64x64 pixels whose frames may have any size that so many bits hold."""
    sequence = bits(
        *((0, 3), (1, 1), (0, 1), (0, 1), (0, 1), (0, 5), (0, 12), (8, 5), (0, 1)),
        *((bits_of_size - 1, 4), (bits_of_size - 1, 4), (63, bits_of_size), (63, bits_of_size)),
        *((0, 1), (0, 7), (0, 1), (0, 1), (0, 1), (0, 20)),
    )
    header = bits((0, 1), (0, 2), (1, 1), (0, 1), (1, 1), (0, 40))
    return obu(2, b"") + obu(1, sequence) + obu(6, header)


def unit(kind: int, body: bytes) -> bytes:
    return struct.pack(">IBB", len(body) + 2, kind << 1, 1) + body


def hevc_of(width: int, height: int, pictures: int = 1) -> Item:
    """HEVC with a second sequence parameter set among its slices, of that size."""

    def exp(number: int) -> tuple[int, int]:
        return number + 1, 2 * (number + 1).bit_length() - 1

    sequence = bits((0, 4), (0, 3), (1, 1), *((0, 32),) * 3, exp(0), exp(1), exp(width), exp(height), (0, 20))
    return Item(HEVC.type, unit(33, sequence) + HEVC.data * pictures, HEVC.properties)


def of(data: bytes, *more: Item, width: int = 64, height: int = 64, of_size: bytes | None = None) -> bytes:
    return file([Item(b"av01", data, [of_size or size(width, height), *PROPERTIES]), *more])


def tiled(count: int, tile: Item = SMALL, columns: int = 250) -> bytes:
    """A grid whose tiles are one item."""
    rows = count // columns
    brand = b"avif" if tile is SMALL else b"heic"
    return file([grid(rows, columns, columns * 64, rows * 64, [2] * count, *tile.properties[1:]), tile], brand)


def parts(tiles: int, count: int) -> bytes:
    """Tiles of many parts each."""
    long = replace(SMALL, data=SMALL.data + obu(15, b"a") * count)
    return file(
        [grid(tiles // 250, 250, 250 * 64, tiles // 250 * 64, range(2, tiles + 2), *PROPERTIES), *[long] * tiles]
    )


def described(grids: int) -> bytes:
    """Grids of one tile, of which 7,600 properties are listed: the image, and what says that it is its transparency."""
    tile = replace(SMALL, properties=[*[box(b"pasp", bytes(8))] * 7_600, *SMALL.properties])
    image = grid(4, 250, 250 * 64, 4 * 64, [2] * 1_000, *PROPERTIES)
    alpha = replace(image, properties=[*image.properties, auxiliary()], references={**image.references, b"auxl": [1]})
    return file([image, tile, *[alpha] * (grids - 1)])


def sharing(count: int) -> bytes:
    """Tiles of their own that are all the same bytes."""
    big = Item(SMALL.type, SMALL.data + bytes((0x7A, 0xC0, 0x84, 0x3D)) + bytes(1_000_000), SMALL.properties)
    rest = [Item(SMALL.type, b"", SMALL.properties, extents=[(8, len(big.data))]) for _ in range(count - 1)]
    return file([grid(1, count, 64 * count, 64, range(2, count + 2), *PROPERTIES), big, *rest])


def own(*references: tuple[bytes, list[int]], items: int = 1) -> bytes:
    return file([Item(SMALL.type, SMALL.data, SMALL.properties, dict(references)), *[SMALL] * (items - 1)])


def linked(*alphas: Item) -> bytes:
    """An image, and what says that it is its transparency."""
    return file(
        [SMALL]
        + [
            replace(one, properties=[*one.properties, auxiliary()], references={**one.references, b"auxl": [1]})
            for one in alphas
        ]
    )


def boxes(name: bytes, content: bytes) -> bytes:
    """A file whose `meta` has one more box, the last of its kind."""
    start, more = PLAIN.index(b"meta") - 4, box(name, content)
    length = int.from_bytes(PLAIN[start : start + 4], "big")
    whole = PLAIN[start + 4 : start + length] + more
    return PLAIN[:start] + struct.pack(">I", len(whole) + 4) + whole + PLAIN[start + length :]


ALPHA = coded(SQUARE.convert("L"))
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "65,536x65,536 in all that is said": (lambda: of(frame_of(65_536, 65_536), width=65_536, height=65_536), "too"),
    "65,536x65,536 that says it is small": (lambda: of(frame_of(65_536, 65_536)), "truncated"),
    "small that says it is 65,536x65,536": (lambda: of(SMALL.data, width=65_536, height=65_536), "truncated"),
    "4,294,967,295 pixels a side": (lambda: of(SMALL.data, width=2**32 - 1, height=2**32 - 1), "truncated"),
    "no pixel": (lambda: of(SMALL.data, width=0, height=64), "truncated"),
    "frames of any size": (lambda: of(changing(16)), "too"),
    "1,000 frames of 6,000x4,000": (
        lambda: of(frame_of(6000, 4000) + obu(6, bytes(9)) * 999, width=6000, height=4000),
        "too",
    ),
    "5,000 OBUs": (lambda: of(SMALL.data + obu(15, b"a") * 5000), "complex"),
    "a million OBUs, in 1,000 tiles": (lambda: parts(1_000, 1_000), "complex"),
    "a tile of 4 MB, 1,000 times": (
        lambda: tiled(1_000, replace(SMALL, data=SMALL.data + PADDING + bytes(4_000_000))),
        "truncated",
    ),
    "small that says it is 6,000x4,000": (lambda: of(SMALL.data, width=6_000, height=4_000), "truncated"),
    "an OBU that goes past the end": (lambda: of(SMALL.data[:-1]), "truncated"),
    "no sequence header": (lambda: of(obu(6, bytes(9))), "truncated"),
    "no bytes": (lambda: of(b""), "truncated"),
    "HEVC of 60,000x60,000 that says it is small": (lambda: file([hevc_of(60_000, 60_000)], b"heic"), "truncated"),
    "HEVC of 900 pictures": (lambda: file([hevc_of(64, 64, 900)], b"heic"), "truncated|embedded"),
    "HEVC of 5,000 slices": (lambda: file([hevc_of(64, 64, 5000)], b"heic"), "complex"),
    "HEVC of 64x64 that says it is 6,000x4,000": (
        lambda: file([replace(HEVC, properties=[size(6_000, 4_000), *HEVC.properties[1:]])], b"heic"),
        "truncated",
    ),
    "62,500 tiles": (lambda: tiled(62_500), "complex"),
    "1,000 tiles that are one": (lambda: tiled(1_000), "truncated"),  # libavif takes each once
    "1,000 HEVC tiles that are one": (lambda: tiled(1_000, HEVC), "embedded"),
    "19,000 tiles that are one, of 7,600 properties": (lambda: described(19), "complex"),
    "tiles of one another's bytes": (lambda: sharing(200), "complex"),
    "a grid of itself": (lambda: file([grid(1, 1, 64, 64, [1])]), "unsupported"),
    "a grid of grids": (lambda: file([grid(1, 1, 64, 64, [2]), grid(1, 1, 64, 64, [1])]), "unsupported"),
    "a grid of nothing": (lambda: file([grid(1, 1, 64, 64, [])]), "truncated"),
    "a grid of what is not there": (lambda: file([grid(1, 1, 64, 64, [9])]), "truncated"),
    "a grid larger than its tiles": (lambda: file([grid(1, 1, 640, 64, [2], *PROPERTIES), SMALL]), "truncated"),
    "its own transparency": (lambda: own((b"auxl", [1])), "embedded"),
    "transparency that is itself a grid of the image": (
        lambda: linked(Item(b"grid", grid(1, 1, 64, 64, []).data, [size(64, 64)], {b"dimg": [1]})),
        "truncated|unsupported|embedded",
    ),
    "transparency of another size": (
        lambda: linked(Item(ALPHA.type, ALPHA.data, [size(32, 64), *ALPHA.properties[1:]])),
        "truncated|unsupported",
    ),
    "500 transparencies": (
        lambda: linked(*[Item(ALPHA.type, ALPHA.data, ALPHA.properties)] * 500),
        "truncated|complex|embedded",
    ),
    "derived from itself": (lambda: file([Item(b"iden", b"", [size(64, 64)], {b"dimg": [1]})]), "unsupported"),
    "an overlay": (lambda: file([Item(b"iovl", bytes(30), [size(64, 64)], {b"dimg": [1] * 9})]), "unsupported"),
    "10,000 items": (lambda: file([SMALL] * 10_000), "complex"),
    "places of 4,294,967,295 items": (
        lambda: boxes(b"iloc", b"\2\0\0\0\0\0" + struct.pack(">I", 2**32 - 1) + bytes(4_000_000)),
        "complex",
    ),
    "5,000 extents": (lambda: file([replace(SMALL, extents=[(0, 1)] * 5_000)]), "complex"),
    "3,999 extents of the same": (lambda: file([replace(SMALL, extents=[(0, len(SMALL.data))] * 3_999)]), "complex"),
    "60,000 references": (lambda: file([replace(SMALL, references={b"thmb": [1] * 60_000})]), "complex"),
    "bytes that are not there": (lambda: file([replace(SMALL, data=b"", extents=[(0, 2**31)])]), "truncated"),
    "5,000 boxes": (lambda: PLAIN[:28] + box(b"free") * 5_000 + PLAIN[28:], "complex"),
    "a box of no bytes": (lambda: PLAIN[:28] + bytes((0, 0, 0, 4)) + PLAIN[32:], "truncated"),
    "a box of 2^63 bytes": (lambda: PLAIN[:28] + struct.pack(">I4sQ", 1, b"meta", 2**63) + PLAIN[36:], "truncated"),
    "a box without an end": (lambda: PLAIN[:28] + bytes(4) + PLAIN[32:], "truncated|embedded"),
    "links of a million properties": (
        lambda: boxes(b"iprp", box(b"ipco") + full(b"ipma", struct.pack(">I", 2**32 - 1), bytes(3_000_000))),
        "complex",
    ),
}  # fmt: skip
MEANING = {
    "too": ("image_too_large", "image_too_complex"), "truncated": ("truncated_image",),
    "complex": ("image_too_complex",),
    "unsupported": ("unsupported_image_format",), "embedded": ("embedded",),
}  # fmt: skip
