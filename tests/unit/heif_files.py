"""HEIF files, written box by box as ISO/IEC 23008-12 has them, of what Pillow and pillow-heif encoded."""

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from pillow_heif import register_heif_opener

from tests.unit.fake_bundle import encoded

register_heif_opener()

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
