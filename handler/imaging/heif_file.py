"""Writing a HEIF file of few items, for the decoders of AVIF and HEIC."""

from collections.abc import Sequence
from typing import NamedTuple

from handler.imaging.boxes import box, full_box
from handler.imaging.heif_items import MAX_PROPERTY, Meta, Property

# Properties that a decoder needs, with what they are of: codec, size, samples, transparency, layers.
WRITTEN = (b"ispe", b"pixi", b"av1C", b"hvcC", b"colr", b"auxC", b"a1op", b"lsel")
TURNS = (b"irot", b"imir", b"clap")  # what libheif does to the pixels, in the order in which they are listed
NUMBERS = b"nclx"  # of the two kinds of `colr`: how colors are coded. An ICC profile is not applied.
BRANDS = {"AVIF": b"avif", "HEIC": b"heic"}


class Link(NamedTuple):
    """A reference from an item to others."""

    type: bytes
    item: int
    to: Sequence[int]


def write(meta: Meta, codec: str, items: Sequence[int], links: Sequence[Link]) -> bytes:
    """Return a file of these items of another, the first of them its image."""
    numbers = {item: number for number, item in enumerate(items, 1)}
    contents = [meta.content(item) for item in items]
    brand = BRANDS[codec]
    head = box(b"ftyp", brand, bytes(4), b"mif1", b"miaf", brand)
    parts = [
        full_box(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", 0, 0, _number(1)),
        full_box(
            b"iinf",
            0,
            0,
            _number(len(items)),
            *(full_box(b"infe", 2, 0, _number(numbers[item]), bytes(2), meta.types[item], b"\0") for item in items),
        ),
        _references(numbers, links),
        _properties(meta, items, TURNS if codec == "HEIC" else ()),
    ]
    # Where the bytes are depends on how long all of this is, which does not depend on where they are.
    before = len(head) + len(full_box(b"meta", 0, 0, *parts, _locations(contents, 0))) + 8
    return b"".join([head, full_box(b"meta", 0, 0, *parts, _locations(contents, before)), box(b"mdat", *contents)])


def _number(value: int, size: int = 2) -> bytes:
    return value.to_bytes(size, "big")


def _references(numbers: dict[int, int], links: Sequence[Link]) -> bytes:
    written = [
        box(one.type, _number(numbers[one.item]), _number(len(one.to)), *(_number(numbers[to]) for to in one.to))
        for one in links
    ]
    return full_box(b"iref", 0, 0, *written) if written else b""


def _properties(meta: Meta, items: Sequence[int], turns: Sequence[bytes]) -> bytes:
    known: dict[bytes, int] = {}  # a property's box, by its number
    rows: list[bytes] = []
    for item in items:
        places = []
        for one in meta.properties.get(item, ()):
            if not _is_written(one) and one.type not in turns:
                continue
            place = known.setdefault(box(one.type, bytes(one.content[:MAX_PROPERTY])), len(known) + 1)
            places.append(_number(place | (0x8000 if one.essential else 0)))
        rows.append(b"".join((_number(len(rows) + 1), bytes((len(places),)), *places)))
    return box(b"iprp", box(b"ipco", *known), full_box(b"ipma", 0, 1, _number(len(rows), 4), *rows))


def _is_written(one: Property) -> bool:
    return one.type in WRITTEN and (one.type != b"colr" or bytes(one.content[:4]) == NUMBERS)


def _locations(contents: Sequence[bytes], start: int) -> bytes:
    rows = []
    for number, content in enumerate(contents, 1):
        rows.append(_number(number) + bytes(2) + _number(1) + _number(start, 4) + _number(len(content), 4))
        start += len(content)
    return full_box(b"iloc", 0, 0, b"\x44\0", _number(len(rows)), *rows)
