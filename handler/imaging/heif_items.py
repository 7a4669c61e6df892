"""HEIF's `meta` box: the items of a file, what is said of each, and where its bytes are (ISO/IEC 23008-12)."""

from collections.abc import Sequence
from typing import NamedTuple

from handler.imaging.boxes import Box, Reader, boxes
from handler.imaging.container import damaged, too_complex

MAX_ITEMS = 2_000
MAX_EXTENTS = 4_000  # of all items together: one each, mostly
MAX_REFERENCES = 20_000
MAX_PROPERTIES = 8_000
MAX_PROPERTY = 16_384  # bytes: an HEVC configuration has a few hundred


class Property(NamedTuple):
    """What is said of an item: a box's type and content."""

    type: bytes
    content: memoryview
    essential: bool


class Meta:
    """The `meta` box. `types`, `properties` and `extents` by an item's number; `references` by type and number."""

    def __init__(self, kind: str, data: bytes, meta: Box) -> None:
        self.kind, self.data = kind, data
        self.primary = 0
        self.types: dict[int, bytes] = {}
        self.properties: dict[int, list[Property]] = {}
        self.references: dict[tuple[bytes, int], Sequence[int]] = {}
        self._extents: dict[int, list[tuple[int, int, int]]] = {}  # method, offset, length
        self._idat = Box(b"idat", 0, 0)
        self._left = {
            "items": MAX_ITEMS,
            "places": MAX_ITEMS,
            "extents": MAX_EXTENTS,
            "references": MAX_REFERENCES,
            "properties": MAX_PROPERTIES,
        }
        found = {one.type: one for one in boxes(kind, data, meta.start + 4, meta.end)}
        self._idat = found.get(b"idat", self._idat)
        for name, read in (
            (b"pitm", self._read_primary),
            (b"iinf", self._read_infos),
            (b"iloc", self._read_locations),
            (b"iref", self._read_references),
        ):
            if name in found:
                read(found[name].reader(kind, data))
        if b"iprp" in found:
            self._read_properties(found[b"iprp"])

    def size(self, item: int) -> int:
        """Return how many bytes an item has, without reading one. Raises ImageError where the file has not all."""
        total = 0
        for method, offset, length in self._extents.get(item, ()):
            start, end = (self._idat.start, self._idat.end) if method == 1 else (0, len(self.data))
            if method not in (0, 1) or start + offset + length > end:
                damaged(self.kind, "an item of it goes past the end")
            total += length
        if not total:
            damaged(self.kind, "an item of it has no bytes")
        return total

    def content(self, item: int) -> bytes:
        """Return an item's bytes, of which `size` knows that they are there."""
        bases = (0, self._idat.start)
        return b"".join(
            self.data[bases[method] + offset : bases[method] + offset + length]
            for method, offset, length in self._extents[item]
        )

    def of(self, item: int, name: bytes) -> bytes | None:
        """Return the content of an item's first property of that type, up to the MAX_PROPERTY bytes that one needs."""
        found = next((one.content for one in self.properties.get(item, ()) if one.type == name), None)
        return None if found is None else bytes(found[:MAX_PROPERTY])

    def _spend(self, what: str, count: int = 1) -> None:
        self._left[what] -= count
        if self._left[what] < 0:
            too_complex(self.kind, f"too many {what}")

    def _read_primary(self, reader: Reader) -> None:
        version, _ = reader.full()
        self.primary = reader.number(4 if version else 2)

    def _read_infos(self, reader: Reader) -> None:
        version, _ = reader.full()
        reader.number(4 if version else 2)
        for one in boxes(self.kind, self.data, reader.at, reader.end):
            self._spend("items")
            entry = one.reader(self.kind, self.data)
            version, _ = entry.full()
            if one.type != b"infe" or version < 2:
                continue
            item, protected = entry.number(4 if version > 2 else 2), entry.number(2)
            if not protected:
                self.types[item] = entry.take(4)

    def _read_locations(self, reader: Reader) -> None:
        version, _ = reader.full()
        sizes = reader.number(2)
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_size = sizes & 15 if version in (1, 2) else 0
        for _ in range(reader.number(4 if version == 2 else 2)):
            self._spend("places")
            item = reader.number(4 if version == 2 else 2)
            method = reader.number(2) & 15 if version in (1, 2) else 0
            source, base = reader.number(2), reader.number(base_size)
            extents = []
            for _ in range(reader.number(2)):
                self._spend("extents")
                reader.number(index_size)
                offset, length = base + reader.number(offset_size), reader.number(length_size)
                extents.append((method, offset, length or max(0, len(self.data) - offset)))
            self._extents[item] = extents if source == 0 else []

    def _read_references(self, reader: Reader) -> None:
        version, _ = reader.full()
        size = 4 if version else 2
        for one in boxes(self.kind, self.data, reader.at, reader.end):
            entry = one.reader(self.kind, self.data)
            item, count = entry.number(size), entry.number(2)
            self._spend("references", count)
            self.references.setdefault((one.type, item), [entry.number(size) for _ in range(count)])

    def _read_properties(self, iprp: Box) -> None:
        known: list[Box] = []
        for one in boxes(self.kind, self.data, iprp.start, iprp.end):
            if one.type == b"ipco":
                known = list(boxes(self.kind, self.data, one.start, one.end))
            elif one.type == b"ipma":
                self._associate(one.reader(self.kind, self.data), known)

    def _associate(self, reader: Reader, known: Sequence[Box]) -> None:
        version, flags = reader.full()
        width = 2 if flags & 1 else 1
        for _ in range(reader.number(4)):
            self._spend("properties")
            item = reader.number(4 if version else 2)
            for _ in range(reader.number(1)):
                self._spend("properties")
                number = reader.number(width)
                essential = 1 << (8 * width - 1)
                index = number & (essential - 1)
                if index > len(known):
                    damaged(self.kind, "a property of it is missing")
                if index:
                    one = known[index - 1]
                    content = memoryview(self.data)[one.start : one.end]
                    self.properties.setdefault(item, []).append(Property(one.type, content, bool(number & essential)))
