"""What a PNG says of itself first: its size, its depth and its colours."""

from dataclasses import dataclass

GREY, RGB, PALETTE = 0, 2, 3


@dataclass(frozen=True)
class Header:
    """The IHDR chunk."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
