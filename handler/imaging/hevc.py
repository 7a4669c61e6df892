"""HEVC as far as its headers say what decoding costs (ITU-T H.265, 7.3)."""

from collections.abc import Iterator
from typing import NamedTuple

from handler.imaging.bits import Bits, EndOfBitsError
from handler.imaging.container import too_complex

SEQUENCE, SLICES = 33, range(32)  # types of NAL unit
HEAD = 512  # bytes of a parameter set that are looked at


class Stream(NamedTuple):
    """The largest picture that a stream announces, how many pixels its pictures have together, and its NAL units."""

    width: int
    height: int
    pixels: int
    parts: int


def read(configuration: bytes, data: bytes, most: int) -> Stream | None:
    """Read an item's `hvcC` and its NAL units, `most` of them; None for what is damaged, or lacks what an image needs.

    Raises ImageError for more.
    """
    try:
        return _read(configuration, data, most)
    except EndOfBitsError:
        return None


def _read(configuration: bytes, data: bytes, most: int) -> Stream | None:
    if len(configuration) < 23:
        return None
    sizes, pictures = [], 0
    units = [*_parameter_sets(configuration), *_units(data, (configuration[21] & 3) + 1, most)]
    for unit in units:
        if len(unit) < 3 or unit[0] & 1 or unit[1] >> 3:  # of a layer above the first, which is not decoded
            continue
        kind = unit[0] >> 1 & 63
        if kind == SEQUENCE:
            sizes.append(_size(unit[2 : 2 + HEAD]))
        elif kind in SLICES:
            pictures += unit[2] >> 7
    if not sizes or not pictures:
        return None
    width, height = max(width for width, _ in sizes), max(height for _, height in sizes)
    return Stream(width, height, pictures * width * height, len(units))


def _parameter_sets(configuration: bytes) -> Iterator[bytes]:
    at = 23
    for _ in range(configuration[22]):
        count = int.from_bytes(configuration[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(configuration[at : at + 2], "big")
            if not size or at + 2 + size > len(configuration):
                raise EndOfBitsError
            yield configuration[at + 2 : at + 2 + size]
            at += 2 + size


def _units(data: bytes, length_size: int, most: int) -> Iterator[bytes]:
    """Yield the beginning of each NAL unit."""
    at = 0
    for _ in range(most + 1):
        if at == len(data):
            return
        start = at + length_size
        size = int.from_bytes(data[at:start], "big")
        if start + size > len(data):
            raise EndOfBitsError
        yield data[start : start + min(size, HEAD + 2)]
        at = start + size
    too_complex("HEIC", "too many slices")


def _size(sequence: bytes) -> tuple[int, int]:
    """Return width and height of a sequence parameter set, before its cropping."""
    bits = Bits(sequence.replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    layers = bits.take(3)
    bits.take(1 + 88 + 8)
    flags = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    bits.take(2 * (8 - layers) if layers else 0)
    for profile, level in flags:
        bits.take(88 * profile + 8 * level)
    bits.exponential()
    if bits.exponential() == 3:
        bits.take(1)
    return bits.exponential(), bits.exponential()
