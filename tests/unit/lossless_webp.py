"""A lossless WebP with as many groups of Huffman codes as wanted, written as RFC 9649 says."""

from functools import cache

import numpy as np

ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
BLOCK = 4  # pixels a side that share a group: the fewest
GREEN = [9] * 256 + [0] * 23 + [1]  # a literal takes 9 bits, the one length 1
RUN, DISTANCE = 4_096, 65_536  # pixels that are copied at once, and from how many before


class Bits:
    """Bits in the order in which WebP packs them."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def number(self, value: int, count: int) -> None:
        self.bits += [value >> place & 1 for place in range(count)]

    def code(self, value: int, count: int) -> None:
        self.bits += [value >> place & 1 for place in reversed(range(count))]

    def only(self, symbol: int) -> None:
        """Write a code of one symbol, which takes no bits."""
        self.number(0b001 if symbol < 2 else 0b101, 3)
        self.number(symbol, 1 if symbol < 2 else 8)

    def lengths(self, lengths: list[int]) -> None:
        """Write a code by the lengths of its symbols, each of which takes 2 bits."""
        wanted = [length for length in range(16) if length in lengths]
        used = sorted([*wanted, *(length for length in range(16) if length not in lengths)][:4])
        last = max(ORDER.index(length) for length in used) + 1
        self.number(0, 1)
        self.number(last - 4, 4)
        for length in ORDER[:last]:
            self.number(2 if length in used else 0, 3)
        self.number(0, 1)
        for length in lengths:
            self.code(used.index(length), 2)


@cache
def stream(width: int, height: int, groups: int) -> bytes:
    """Return the stream of an image of one color from its transforms on. Its pixels take no bits."""
    bits = Bits()
    bits.number(0b100, 3)  # no transform, no cache, several groups
    bits.number(0, 3)  # for each 4x4 pixels
    bits.number(0, 1)  # no cache in the image of the groups
    bits.lengths(GREEN)
    bits.lengths([8] * 256)
    for symbol in (0, 0, 32):  # blue, alpha, the distance
        bits.only(symbol)
    blocks = -(-width // BLOCK) * -(-height // BLOCK)
    block = 0
    while block < blocks:
        if block >= groups == DISTANCE and blocks - block >= RUN:
            bits.code(0, 1)
            bits.number(RUN - 3_072 - 1, 10)
            bits.number(DISTANCE + 120 - 65_536 - 1, 15)
            block += RUN
        else:
            bits.code(256 + block % groups % 256, 9)
            bits.code(block % groups // 256, 8)
            block += 1
    one = Bits()
    one.only(1)
    bits.bits += one.bits * 5 * groups
    return np.packbits(np.array(bits.bits, np.uint8), bitorder="little").tobytes() + bytes(8)


def read_slowly(size: int) -> bytes:
    """Return a stream whose first transform has a bit for each of its blocks, as many as so many bytes hold."""
    bits = Bits()
    bits.number(1, 3)  # a transform, which predicts
    bits.number(0, 3)  # each 4x4 pixels
    bits.number(0, 1)  # no cache
    bits.number(0b0011, 4)  # a code of two symbols: 0, and one of 8 bits
    bits.number(1, 8)
    for _ in range(4):
        bits.only(0)
    return np.packbits(np.array(bits.bits, np.uint8), bitorder="little").tobytes() + b"\x55" * size


@cache
def cached(cache_bits: int) -> bytes:
    """Return a stream whose groups' image has a code for each color of a cache of so many bits."""
    bits = Bits()
    bits.number(0b100, 3)  # no transform, no cache, several groups
    bits.number(7, 3)  # for each 512x512 pixels
    bits.number(1, 1)
    bits.number(cache_bits, 4)
    bits.lengths([cache_bits] * 2**cache_bits + [0] * 280)
    for _ in range(4):
        bits.only(0)
    bits.number(0, cache_bits)  # the first color
    return np.packbits(np.array(bits.bits, np.uint8), bitorder="little").tobytes() + bytes(64)
