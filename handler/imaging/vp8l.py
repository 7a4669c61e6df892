"""How many groups of Huffman codes a lossless WebP has, read as RFC 9649 says, before libwebp makes tables of them.

The number stands behind the images of the transforms, which are compressed themselves, but small: they and the image of
the groups are read here without their colors being kept.
"""

_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_LITERALS, _LENGTHS, _DISTANCES, _LONGEST = 256, 24, 40, 15
_MOST_CACHE_BITS = 11  # more are an error: their codes would have 32,768 symbols, and take a tenth of a second
_PREDICTOR, _COLOR, _GREEN, _INDEXING = range(4)
_REPEATS = {16: (2, 3), 17: (3, 3), 18: (7, 11)}  # bits that say how often, and the fewest times

_Code = tuple[int, list[tuple[int, int]]]  # the bits to look at, and for each value of them: bits to take, symbol


class UnreadError(Exception):
    """The stream is damaged, or takes more reading than was allowed."""


class Stream:
    """A VP8L bit stream from its transforms on. `reads` are the pixels that may be read, and how many were left."""

    def __init__(self, data: bytes, reads: int) -> None:
        self._data, self._at, self.reads = data, 0, reads

    def groups(self, width: int, height: int) -> int:
        """Return the number of groups that an image of this size has. Raises UnreadError."""
        seen = set()
        while self._bits(1):
            kind = self._bits(2)
            if kind in seen:
                raise UnreadError
            seen.add(kind)
            if kind in (_PREDICTOR, _COLOR):
                self._highest(*self._blocks(width, height))
            elif kind == _INDEXING:
                colors = self._bits(8) + 1
                self._highest(colors, 1)
                packed = 3 if colors <= 2 else 2 if colors <= 4 else 1 if colors <= 16 else 0
                width = _divided(width, packed)
        self._cache_bits()
        return self._highest(*self._blocks(width, height)) + 1 if self._bits(1) else 1

    def _blocks(self, width: int, height: int) -> tuple[int, int]:
        shift = self._bits(3) + 2
        return _divided(width, shift), _divided(height, shift)

    def _highest(self, width: int, height: int) -> int:
        """Read an image that has one group; returns its highest red and green, which is the number of a group."""
        cache = self._cache_bits()
        sizes = (_LITERALS + _LENGTHS + (1 << cache if cache else 0), *(_LITERALS,) * 3, _DISTANCES)
        green, *others, distance = (self._code(size) for size in sizes)
        left, highest = width * height, 0
        while left > 0:
            self.reads -= 1
            if self.reads < 0 or self._at > 8 * len(self._data):
                raise UnreadError
            before = self._at
            symbol = self._symbol(green)
            if symbol < _LITERALS:
                red, _, _ = (self._symbol(code) for code in others)
                highest = max(highest, red << 8 | symbol)
                left -= 1 if self._at > before else left  # nothing was read: all of it is this color
            elif symbol < _LITERALS + _LENGTHS:
                left -= self._copied(symbol - _LITERALS)
                self._copied(self._symbol(distance))
            else:
                left -= 1
        return highest

    def _copied(self, symbol: int) -> int:
        if symbol < 4:
            return symbol + 1
        extra = (symbol - 2) >> 1
        return ((2 + (symbol & 1)) << extra) + self._bits(extra) + 1

    def _cache_bits(self) -> int:
        bits = self._bits(4) if self._bits(1) else 0
        if bits > _MOST_CACHE_BITS:
            raise UnreadError
        return bits

    def _code(self, size: int) -> _Code:
        if self._bits(1):
            two, wide = self._bits(1), self._bits(1)
            symbols = [self._bits(8 if wide else 1), *([self._bits(8)] if two else [])]
            return two, [(two, symbol) for symbol in symbols]
        known = [0] * len(_ORDER)
        for place in _ORDER[: self._bits(4) + 4]:
            known[place] = self._bits(3)
        lengths_of = _table(known)
        most = self._bits(2 + 2 * self._bits(3)) + 2 if self._bits(1) else size
        lengths: list[int] = []
        last = 8
        while len(lengths) < size and most > 0:
            most -= 1
            symbol = self._symbol(lengths_of)
            if symbol in _REPEATS:
                bits, least = _REPEATS[symbol]
                lengths += [last if symbol == 16 else 0] * (self._bits(bits) + least)
            else:
                lengths.append(symbol)
                last = symbol or last
        return _table(lengths)

    def _symbol(self, code: _Code) -> int:
        bits, table = code
        if not bits:
            return table[0][1]
        at = self._at
        window = int.from_bytes(self._data[at >> 3 : (at >> 3) + 3], "little") >> (at & 7)
        taken, symbol = table[window & ((1 << bits) - 1)]
        self._at = at + taken
        return symbol

    def _bits(self, count: int) -> int:
        at = self._at
        self._at = at + count
        return int.from_bytes(self._data[at >> 3 : (at >> 3) + 5], "little") >> (at & 7) & ((1 << count) - 1)


def _divided(length: int, shift: int) -> int:
    return (length + (1 << shift) - 1) >> shift


def _table(lengths: list[int]) -> _Code:
    """Make the table of a canonical code, whose bits come highest first. Raises UnreadError where it has gaps."""
    used = [(length, symbol) for symbol, length in enumerate(lengths) if length]
    if len(used) == 1:
        return 0, [(0, used[0][1])]
    if not used or max(used)[0] > _LONGEST or sum(1 << (_LONGEST - length) for length, _ in used) != 1 << _LONGEST:
        raise UnreadError
    bits = max(used)[0]
    table = [(0, 0)] * (1 << bits)
    code = before = 0
    for length, symbol in sorted(used):
        code <<= length - before
        reversed_code = int(f"{code:0{length}b}"[::-1], 2)
        table[reversed_code :: 1 << length] = [(length, symbol)] * (1 << (bits - length))
        code, before = code + 1, length
    return bits, table
