"""Put several short texts into each row of a causal text tower's input: hardly any padding is computed.

A text's tokens attend to the earlier tokens of the same text alone, so its embedding does not depend on what else is in
its row. Three texts of 2, 3 and 4 tokens in rows of 5, where . is padding:

    ids        [a1 a2 a3 b1 b2]    positions  [0 1 2 0 1]
               [c1 c2 c3 c4  .]               [0 1 2 3 0]
"""

from heapq import heapreplace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROW = 64  # tokens, the longest row that is tried where no text is longer
TEXTS = (1, 2, 3, 4, 6, 8)  # of a row, on average, that are tried
SCORES = 450  # of a head, as many as take the time of a token's products: measured 380 to 700 on ViT-B-32


class Packed(NamedTuple):
    """The inputs of a text tower for some texts, and where each text's embedding is in its output [B, K, D]."""

    positions: NDArray[np.int64]  # [B, L], within its own text
    mask: NDArray[np.float32]  # [B, 1, L, L]: 0 where a token attends, -inf elsewhere
    ends: NDArray[np.int64]  # [B, K]: the end token of each text of a row, as a place in the B * L tokens
    ids: NDArray[np.int64]  # [B, L]
    picked: NDArray[np.intp]  # [N], places in the B * K embeddings


def pack(ids: NDArray[np.int64], end_id: int | None) -> Packed:
    """Pack texts of token ids [N, L]. `end_id` ends a text; None means that the highest id of each row does."""
    found = ids.argmax(axis=1) if end_id is None else (ids == end_id).argmax(axis=1)
    lengths = np.maximum(found + 1, 2)
    if len(ids) == 1:
        return _alone(ids[:, : lengths[0]], found)
    layout = assign(lengths.tolist())
    shape = layout.height, layout.width
    text = np.repeat(np.arange(len(ids)), lengths)
    position = np.arange(len(text)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    row, start, place = np.array(layout.texts)
    first = row * layout.width + start  # of each text, among all tokens
    token = first[text] + position
    packed, positions, owner = np.zeros((3, layout.height * layout.width), np.int64)
    packed[token], positions[token], owner[token] = ids[text, position], position, text + 1
    owner = owner.reshape(shape)
    seen = (owner[:, :, None] == owner[:, None]) & np.tri(layout.width, dtype=bool)  # padding sees earlier padding
    mask = np.where(seen, np.float32(0), np.float32(-np.inf))[:, None]
    most = int(place.max()) + 1
    ends = np.zeros((layout.height, most), np.int64)
    ends[row, place] = first + found
    return Packed(positions.reshape(shape), mask, ends, packed.reshape(shape), row * most + place)


def _alone(ids: NDArray[np.int64], end: NDArray[np.intp]) -> Packed:
    """Return what `pack` does for one text, in a fifth of its time: that would be a fiftieth of a caption's."""
    length = ids.shape[1]
    mask = np.triu(np.full((1, 1, length, length), -np.inf, np.float32), 1)
    return Packed(np.arange(length)[None], mask, end[None], ids, np.zeros(1, np.intp))


class Layout(NamedTuple):
    """Where texts are: for each its row, the tokens and the texts before it there; and the rows' number and width."""

    texts: tuple[list[int], list[int], list[int]]
    height: int
    width: int

    def cost(self) -> int:
        """Return what it costs to compute all rows, in scores."""
        return self.height * self.width * (SCORES + self.width)


def assign(lengths: list[int]) -> Layout:
    """Give each text to a row. Of several numbers of rows, the one is taken whose rows cost least."""
    longest = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    heights = {-(-len(lengths) // texts) for texts in TEXTS} | {-(-sum(lengths) // max(ROW, *lengths))}
    return min((_assign(lengths, longest, height) for height in sorted(heights)), key=Layout.cost)


def _assign(lengths: list[int], longest: list[int], height: int) -> Layout:
    """Give each text, the longest first, to the row that has the fewest tokens so far."""
    fewest, texts = [(0, row) for row in range(height)], [0] * height
    rows, starts, places = ([0] * len(lengths) for _ in range(3))
    for text in longest:
        start, row = fewest[0]
        rows[text], starts[text], places[text] = row, start, texts[row]
        heapreplace(fewest, (start + lengths[text], row))
        texts[row] += 1
    return Layout((rows, starts, places), height, max(fewest)[0])
