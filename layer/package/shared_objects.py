"""Remove from shared objects what is never mapped into memory: symbols for debuggers, and gaps between segments.

This does the same as `strip --strip-unneeded`, for every processor on every machine. The loader reads only the program
headers and the segments that they list (man 5 elf).
"""

import shutil
import struct
from pathlib import Path
from typing import NamedTuple

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian: both of Lambda's processors
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
LOAD = 1
PAGES = {62: 4096, 183: 65536}  # x86_64 and aarch64: the largest page that each one's systems may have


class Segment(NamedTuple):
    """A program header, field by field; `offset` and `size` are of the file."""

    type: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    memory: int
    alignment: int


def shrink(tree: Path) -> int:
    """Rewrite each shared object below `tree` without what is never mapped; returns the number of bytes saved."""
    saved = 0
    for path in sorted(tree.rglob("*.so*")):
        if path.is_symlink() or not path.is_file():
            continue
        before = path.read_bytes()
        after = mapped_only(before)
        if len(after) < len(before):
            aside = path.with_name(f"{path.name}.shrunk")  # the file itself may be a link to a file of somebody else
            aside.write_bytes(after)
            shutil.copymode(path, aside)
            aside.replace(path)
            saved += len(before) - len(after)
    return saved


def mapped_only(data: bytes) -> bytes:
    """Return a shared object with only its mapped segments, each as close to the one before as page alignment allows.

    Any other file, or one with an unknown layout, is returned unchanged.
    """
    if not data.startswith(MAGIC) or len(data) < HEADER.size:
        return data
    header = list(HEADER.unpack_from(data))
    machine, table, count = header[2], header[5], header[10]
    if table + count * SEGMENT.size > len(data):
        return data
    segments = [Segment(*SEGMENT.unpack_from(data, table + number * SEGMENT.size)) for number in range(count)]
    moved = _places(segments, PAGES.get(machine), len(data))
    if moved is None or (new_table := _moved(table, count * SEGMENT.size, moved)) is None:
        return data
    out = bytearray(max(place + segment.size for segment, place in moved))
    for segment, place in moved:
        out[place : place + segment.size] = data[segment.offset : segment.offset + segment.size]
    for number, segment in enumerate(segments):
        there = _moved(segment.offset, segment.size, moved) if segment.size else segment.address % PAGES[machine]
        if there is None:
            return data
        alignment = min(segment.alignment, PAGES[machine]) if segment.type == LOAD else segment.alignment
        changed = segment._replace(offset=there, alignment=alignment)
        SEGMENT.pack_into(out, new_table + number * SEGMENT.size, *changed)
    header[5], header[6], header[12], header[13] = new_table, 0, 0, 0  # no table of sections: the loader reads none
    HEADER.pack_into(out, 0, *header)
    return bytes(out)


def _places(segments: list[Segment], page: int | None, length: int) -> list[tuple[Segment, int]] | None:
    """Return each mapped segment with its new place; None for an unknown layout."""
    loads = sorted((one for one in segments if one.type == LOAD and one.size), key=lambda one: one.offset)
    if page is None or not loads or loads[0].offset != 0 or loads[0].size < HEADER.size:
        return None
    places, end, known = [], 0, 0
    for segment in loads:
        if segment.offset < known or segment.offset + segment.size > length:
            return None
        place = end + (segment.address - end) % page  # the same place in a page as its address
        places.append((segment, place))
        end, known = place + segment.size, segment.offset + segment.size
    return places


def _moved(offset: int, size: int, moved: list[tuple[Segment, int]]) -> int | None:
    """Return the new place of a part of the file; None if it is in no mapped segment."""
    for segment, place in moved:
        if segment.offset <= offset and offset + size <= segment.offset + segment.size:
            return place + offset - segment.offset
    return None
