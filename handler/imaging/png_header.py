"""What a PNG says of itself first: its size, its depth and its colors."""

from dataclasses import dataclass

GRAY, RGB, PALETTE = 0, 2, 3


@dataclass(frozen=True)
class Header:
    """The IHDR chunk."""

    width: int
    height: int
    depth: int
    color: int
    interlaced: bool
