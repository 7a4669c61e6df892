"""A stream of bits, highest first, as AV1 and HEVC write their headers."""


class EndOfBitsError(Exception):
    """The stream ends before a header does."""


class Bits:
    """Numbers of so many bits. Raises EndOfBitsError past the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next `count` bits as an unsigned number."""
        self._left -= count
        if self._left < 0:
            raise EndOfBitsError
        return self._value >> self._left & ((1 << count) - 1)

    def exponential(self) -> int:
        """Return the next Exp-Golomb number, which HEVC calls ue(v) and AV1 uvlc()."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise EndOfBitsError
        return (1 << zeros) - 1 + self.take(zeros)
