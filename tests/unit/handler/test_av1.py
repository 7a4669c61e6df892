"""Which frames of AV1 may have a size of their own: headers written as the specification has them (5.5 and 5.9)."""

from typing import NamedTuple

import pytest

from handler.imaging import av1
from tests.unit.hostile_heif import bits, obu

SEQUENCE, FRAME = 1, 6
OWN, USUAL = 1 << 32, 64 * 64  # pixels: 16 bits a side have room for the first
KEY, INTER, SWITCH = 0, 1, 3

Number = tuple[int, int]  # and its bits


class Stream(NamedTuple):
    """What a sequence's header and a frame's have."""

    timed: bool = False
    equal_interval: bool = False
    delays: bool = False
    ids: bool = False
    order: bool = False
    screen: int | None = None  # None: each frame says it
    kind: int = KEY
    shown: int = 1

    def sequence(self) -> bytes:
        numbers: list[Number] = [(0, 3), (0, 1), (0, 1), (int(self.timed), 1)]
        if self.timed:
            numbers += [(1, 32), (1, 32), (int(self.equal_interval), 1), *([(1, 1)] if self.equal_interval else [])]
            numbers += [(1, 1), (9, 5), (1, 32), (9, 5), (9, 5)]
        numbers += [(int(self.delays), 1), (1, 5)]
        for level in (8, 3):  # two operating points, the first of which has a tier
            numbers += [(0, 12), (level, 5), *([(1, 1)] if level > 7 else [])]
            numbers += [(1, 1), (5, 10), (5, 10), (1, 1)] if self.timed else []
            numbers += [(1, 1), (3, 4)] if self.delays else []
        numbers += [(15, 4), (15, 4), (63, 16), (63, 16), (int(self.ids), 1), *([(3, 4), (2, 3)] if self.ids else [])]
        numbers += [(0, 3), (0, 4), (int(self.order), 1), *([(0, 2)] if self.order else [])]
        numbers += [(1, 1)] if self.screen is None else [(0, 1), (self.screen, 1)]
        numbers += [(1, 1)] if self.screen != 0 else []
        return bits(*numbers, *([(5, 3)] if self.order else []), (0, 40))

    def frame(self, own: int) -> bytes:
        """A header in which all but that says whether the frame has a size of its own is 1, up to there."""
        numbers: list[Number] = [(0, 1), (self.kind, 2), (self.shown, 1)]
        numbers += [(1023, 10)] if self.shown and self.timed and not self.equal_interval else []
        numbers += [] if self.shown else [(1, 1)]
        numbers += [] if self.kind == SWITCH or (self.kind == KEY and self.shown) else [(1, 1)]
        numbers += [(1, 1), *([(1, 1)] if self.screen is None else []), *([(1, 1)] if self.screen != 0 else [])]
        numbers += [(255, 8)] if self.ids else []
        return bits(*numbers, *([] if self.kind == SWITCH else [(own, 1)]), (0, 80))

    def pixels(self, own: int) -> int:
        found = av1.read(obu(2, b"") + obu(SEQUENCE, self.sequence()) + obu(FRAME, self.frame(own)), 100)
        assert found is not None
        return found.pixels


STREAMS = [
    Stream(),
    Stream(timed=True),
    Stream(timed=True, equal_interval=True),
    Stream(timed=True, delays=True, shown=0),
    Stream(delays=True),
    Stream(ids=True),
    Stream(order=True),
    Stream(screen=0),
    Stream(screen=1),
    Stream(kind=INTER),
    Stream(kind=INTER, shown=0),
    Stream(kind=KEY, shown=0, ids=True, order=True),
]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_frame_that_has_a_size_of_its_own_counts_as_the_largest(stream: Stream) -> None:
    assert stream.pixels(own=0) == USUAL
    assert stream.pixels(own=1) == OWN


def test_a_switch_frame_has_a_size_of_its_own_and_a_frame_that_is_shown_again_has_none() -> None:
    assert Stream(kind=SWITCH).pixels(own=0) == OWN
    again = obu(SEQUENCE, Stream().sequence()) + obu(FRAME, bits((1, 1), (255, 20)))
    found = av1.read(again, 100)
    assert found
    assert found.pixels == USUAL


def test_an_obu_may_have_an_extension_and_no_size() -> None:
    sequence, frame = Stream().sequence(), Stream().frame(own=1)
    extended = bytes((SEQUENCE << 3 | 0b110, 0, len(sequence))) + sequence
    found = av1.read(extended + bytes((FRAME << 3,)) + frame, 100)
    assert found
    assert (found.pixels, found.parts) == (OWN, 2)
