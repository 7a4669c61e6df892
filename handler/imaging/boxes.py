"""ISO base media file format: boxes of a file, read within limits (ISO/IEC 14496-12)."""

from collections.abc import Iterator
from typing import NamedTuple

from handler.imaging.container import damaged, too_complex

MAX_BOXES = 2_000  # side by side; a photo of 48 megapixels has some 200 tiles, and none of them is a box


class Reader:
    """Numbers of a part of a file, one after the other. Raises ImageError truncated_image at its end."""

    def __init__(self, kind: str, data: bytes, at: int, end: int) -> None:
        self._kind, self._data, self.at, self.end = kind, data, at, end

    def number(self, size: int) -> int:
        """Return the next `size` bytes as an unsigned number; 0 for none."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if self.at + size > self.end:
            damaged(self._kind, "a box of it ends early")
        self.at += size
        return self._data[self.at - size : self.at]

    def full(self) -> tuple[int, int]:
        """Return version and flags, with which some boxes begin."""
        return self.number(1), self.number(3)

    def text(self) -> bytes:
        """Return the next text, which ends with a zero or with the box."""
        end = self._data.find(b"\0", self.at, self.end)
        found = self._data[self.at : end if end >= 0 else self.end]
        self.at = end + 1 if end >= 0 else self.end
        return found


class Box(NamedTuple):
    """One box: its type, and where in the file its content is."""

    type: bytes
    start: int
    end: int

    def reader(self, kind: str, data: bytes) -> Reader:
        """Return a reader of the content."""
        return Reader(kind, data, self.start, self.end)


def boxes(kind: str, data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes that stand side by side there. Raises ImageError for one that goes past the end, or too many."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, head, name = int.from_bytes(data[start : start + 4], "big"), 8, data[start + 4 : start + 8]
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:  # goes on to the end
            size = end - start
        if size < head or start + size > end:
            damaged(kind, f"its box {name!a} does not end within the file")
        yield Box(name, start + head, start + size)
        start += size
    too_complex(kind, f"more than {MAX_BOXES:,} boxes")


def box(name: bytes, *content: bytes) -> bytes:
    """Write a box."""
    body = b"".join(content)
    return (len(body) + 8).to_bytes(4, "big") + name + body


def full_box(name: bytes, version: int, flags: int, *content: bytes) -> bytes:
    """Write a box that begins with version and flags."""
    return box(name, bytes((version,)), flags.to_bytes(3, "big"), *content)
