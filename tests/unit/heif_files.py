"""HEIF files, written box by box as ISO/IEC 23008-12 has them, of what Pillow and pillow-heif encoded."""

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from pillow_heif import register_heif_opener

from tests.unit.fake_bundle import encoded

register_heif_opener()

LONG = 70_000  # the number of the first item: more than 2 bytes hold
AUXILIARY = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"


def box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + name + body


def full(name: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags), *content)


@dataclass
class Item:
    """An item of a file: its type, its bytes, its properties (whole boxes), and those that it refers to."""

    type: bytes
    data: bytes
    properties: Sequence[bytes] = ()
    references: Mapping[bytes, Sequence[int]] = field(default_factory=dict)
    essential: bool = False
    extents: Sequence[tuple[int, int]] | None = None  # where, from the beginning of `mdat`'s content, and how many


def file(items: Sequence[Item], brand: bytes = b"avif", primary: int = 1) -> bytes:
    """Return a file of items, the first of which has number 1."""
    known: list[bytes] = []
    rows: list[bytes] = []
    for number, item in enumerate(items, 1):
        known += [one for one in dict.fromkeys(item.properties) if one not in known]
        places = [known.index(one) + 1 | (0x8000 if item.essential else 0) for one in item.properties]
        for some in [places[start : start + 255] for start in range(0, len(places), 255)] or [[]]:
            rows.append(struct.pack(f">HB{len(some)}H", number, len(some), *some))
    references = b"".join(
        box(name, struct.pack(f">HH{len(to)}H", number, len(to), *to))
        for number, item in enumerate(items, 1)
        for name, to in item.references.items()
    )
    infos = [full(b"infe", struct.pack(">HH", n, 0), i.type, b"\0", version=2) for n, i in enumerate(items, 1)]
    head = box(b"ftyp", brand, bytes(4), b"mif1", b"miaf", brand)
    tail = (
        full(b"pitm", struct.pack(">H", primary)),
        full(b"iinf", struct.pack(">H", len(items)), *infos),
        full(b"iref", references),
        box(b"iprp", box(b"ipco", *known), full(b"ipma", struct.pack(">I", len(rows)), *rows, flags=1)),
    )
    hdlr = full(b"hdlr", bytes(4), b"pict", bytes(13))
    start = len(head) + len(full(b"meta", hdlr, _places(items, 0), *tail)) + 8
    return head + full(b"meta", hdlr, _places(items, start), *tail) + box(b"mdat", *(item.data for item in items))


def _long_links(numbered: Sequence[tuple[int, Item]], known: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the rows of `ipma` and `iref`, with numbers of 32 bits."""
    properties = b"".join(
        struct.pack(
            f">IB{len(item.properties)}B", number, len(item.properties), *map(_place_in(known), item.properties)
        )
        for number, item in numbered
    )
    references = b"".join(
        box(name, struct.pack(f">IH{len(to)}I", number, len(to), *(LONG - 1 + one for one in to)))
        for number, item in numbered
        for name, to in item.references.items()
    )
    return properties, references


def long_file(items: Sequence[Item], brand: bytes = b"avif", to_end: bool = False, source: int = 0) -> bytes:
    """Return the same in the longest forms that ISO/IEC 14496-12 has, with grids in `idat` as phones write them.

    `to_end`: the last box and the last item go on to the end of the file, without a length. `source` is the file that
    has the bytes: 0 is this one.
    """
    known = list(dict.fromkeys(one for item in items for one in item.properties))
    numbered = list(enumerate(items, LONG))
    properties, references = _long_links(numbered, known)
    infos = [full(b"infe", struct.pack(">IH", number, 0), item.type, b"\0", version=3) for number, item in numbered]
    grids = b"".join(item.data for item in items if item.type == b"grid")
    pixels = b"".join(item.data for item in items if item.type != b"grid")
    head = box(b"ftyp", brand, bytes(4), b"mif1", b"miaf", brand) + struct.pack(">I4sQ4x", 1, b"free", 20)

    def meta(start: int) -> bytes:
        rows, at = b"", {0: 0, 1: 0}
        for number, item in numbered:
            method = int(item.type == b"grid")
            length = 0 if to_end and item is items[-1] else len(item.data)
            rows += struct.pack(">IHHQHIQQ", number, method, source, 0 if method else start, 1, 0, at[method], length)
            at[method] += len(item.data)
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">I", LONG), version=1),
            full(b"iloc", b"\x88\x84", struct.pack(">I", len(items)), rows, version=2),
            full(b"iinf", struct.pack(">I", len(items)), *infos, version=1),
            full(b"iref", references, version=1),
            box(b"iprp", box(b"ipco", *known), full(b"ipma", struct.pack(">I", len(items)), properties, version=1)),
            box(b"idat", grids),
        )

    size = b"" if to_end else struct.pack(">Q", len(pixels) + 16)
    last = struct.pack(">I4s", 0 if to_end else 1, b"mdat") + size
    return head + meta(len(head) + len(meta(0)) + len(last)) + last + pixels


def _place_in(known: Sequence[bytes]) -> Callable[[bytes], int]:
    return lambda one: known.index(one) + 1


def _places(items: Sequence[Item], start: int) -> bytes:
    rows, at = b"", 0
    for number, item in enumerate(items, 1):
        extents = [(at, len(item.data))] if item.extents is None else item.extents
        rows += struct.pack(">HHH", number, 0, len(extents))
        rows += b"".join(struct.pack(">II", start + place, length) for place, length in extents)
        at += len(item.data)
    return full(b"iloc", b"\x44\0", struct.pack(">H", len(items)), rows)


def coded(image: Image.Image, kind: str = "AVIF", **options: Any) -> Item:
    """Return an image as an item: what a library wrote, without its container."""
    if kind == "HEIF":
        options = {"chroma": 420, **options}
    data = encoded(image, kind, **{"quality": 90, **options})
    codec = b"av01" if kind == "AVIF" else b"hvc1"
    names = (b"av1C" if kind == "AVIF" else b"hvcC", b"pixi", b"colr")
    found = [_whole(data, name) for name in names if name in data]
    return Item(codec, data[data.index(b"mdat") + 4 :], [size(*image.size), *found])


def size(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


def auxiliary(name: str = AUXILIARY) -> bytes:
    return full(b"auxC", name.encode() + b"\0")


def grid(rows: int, columns: int, width: int, height: int, tiles: Sequence[int], *properties: bytes) -> Item:
    wide = max(width, height) > 65_535
    data = struct.pack(">BBBB" + ("II" if wide else "HH"), 0, wide, rows - 1, columns - 1, width, height)
    return Item(b"grid", data, [size(width, height), *properties], {b"dimg": tiles})


def opened(data: bytes) -> Image.Image:
    """Open a file as open_clip's users do."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _whole(data: bytes, name: bytes) -> bytes:
    at = data.index(name) - 4
    return data[at : at + int.from_bytes(data[at : at + 4], "big")]
