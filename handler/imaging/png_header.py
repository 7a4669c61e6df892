"""A PNG's header: its size, its depth and its colors."""

from typing import NamedTuple

GRAY, RGB, PALETTE = 0, 2, 3


class Header(NamedTuple):
    """The IHDR chunk."""

    width: int
    height: int
    depth: int
    color: int
