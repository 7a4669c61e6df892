"""AV1 as far as its headers say what decoding costs (AV1 Bitstream and Decoding Process Specification, 5.3 to 5.9)."""

from typing import NamedTuple

from handler.imaging.bits import Bits, EndOfBitsError
from handler.imaging.container import too_complex

SEQUENCE, FRAME_HEADER, FRAME = 1, 3, 6  # types of OBU
SELECTED = 2  # seq_force_screen_content_tools, seq_force_integer_mv: each frame says it
HEAD = 64  # bytes of a header that are looked at


class Stream(NamedTuple):
    """The largest frame that a stream announces, how many pixels its frames may have together, and its OBUs."""

    width: int
    height: int
    pixels: int
    parts: int


class _Sequence:
    def __init__(self, bits: Bits) -> None:
        bits.take(4)  # profile, still picture
        self.reduced = bool(bits.take(1))
        self.timed = self.equal_interval = False
        self.delay_bits = 0
        if self.reduced:
            bits.take(5)
        else:
            self._read_operating_points(bits)
        self.bits = bits.take(4) + 1, bits.take(4) + 1
        self.width, self.height = bits.take(self.bits[0]) + 1, bits.take(self.bits[1]) + 1
        self.id_bits, self.screen, self.integer = 0, SELECTED, SELECTED
        if self.reduced:
            return
        if bits.take(1):  # frame ids
            self.id_bits = bits.take(4) + 2
            self.id_bits += bits.take(3) + 1
        bits.take(7)  # 128x128, intra filters, inter-intra, masks, warped motion, dual filter
        if order_hint := bits.take(1):
            bits.take(2)
        if not bits.take(1):
            self.screen = bits.take(1)
        if self.screen and not bits.take(1):
            self.integer = bits.take(1)
        if order_hint:
            bits.take(3)

    def _read_operating_points(self, bits: Bits) -> None:
        buffer_bits = 0
        if bits.take(1):  # timing
            bits.take(64)
            if bits.take(1):
                self.equal_interval = True
                bits.exponential()
            if bits.take(1):
                self.timed = True
                buffer_bits = bits.take(5) + 1
                bits.take(32 + 5)
                self.delay_bits = bits.take(5) + 1
        delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if self.timed and bits.take(1):
                bits.take(2 * buffer_bits + 1)
            if delays and bits.take(1):
                bits.take(4)

    def frame_pixels(self, bits: Bits) -> int:
        """Read a frame's header up to what says whether it has a size of its own, which may be any that has room."""
        if self.reduced or not self._has_own_size(bits):
            return self.width * self.height
        return 1 << sum(self.bits)

    def _has_own_size(self, bits: Bits) -> bool:
        if bits.take(1):  # shows a frame that was decoded before
            return False
        kind, shown = bits.take(2), bits.take(1)
        if shown and self.timed and not self.equal_interval:
            bits.take(self.delay_bits)
        if not shown:
            bits.take(1)
        if kind == 3:  # a switch frame
            return True
        if not (kind == 0 and shown):
            bits.take(1)
        bits.take(1)
        screen = bits.take(1) if self.screen == SELECTED else self.screen
        if screen and self.integer == SELECTED:
            bits.take(1)
        bits.take(self.id_bits)
        return bool(bits.take(1))


def read(data: bytes, most: int) -> Stream | None:
    """Read an item's OBUs, `most` of them; None for what is damaged, or lacks what an image needs.

    Raises ImageError for more.
    """
    try:
        return _read(data, most)
    except EndOfBitsError:
        return None


def _read(data: bytes, most: int) -> Stream | None:
    at = width = height = pixels = 0
    sequence: _Sequence | None = None
    for count in range(most + 1):
        if at >= len(data):
            return Stream(width, height, pixels, count) if pixels else None
        kind, start, end = _obu(data, at)
        if start > len(data) or end > len(data):
            return None
        if kind == SEQUENCE:
            sequence = _Sequence(Bits(data[start : min(end, start + 8 * HEAD)]))
            width, height = max(width, sequence.width), max(height, sequence.height)
        elif kind in (FRAME_HEADER, FRAME):
            if sequence is None:
                return None
            pixels += sequence.frame_pixels(Bits(data[start : min(end, start + HEAD)]))
        at = end
    too_complex("AVIF", "too many parts")


def _obu(data: bytes, at: int) -> tuple[int, int, int]:
    """Return an OBU's type, where its content starts, and where it ends."""
    head = data[at]
    start = at + (2 if head & 4 else 1)
    if not head & 2:  # has no size: goes on to the end
        return head >> 3 & 15, start, len(data)
    size = 0
    for place in range(8):
        if start >= len(data):
            raise EndOfBitsError
        byte = data[start]
        start += 1
        size |= (byte & 127) << 7 * place
        if not byte & 128:
            return head >> 3 & 15, start, start + size
    raise EndOfBitsError
