"""Put several short texts into each row of a causal text tower's input: hardly any padding is computed.

A text's tokens attend to the earlier tokens of the same text alone, so its embedding does not depend on what else is in
its row. Three texts of 2, 3 and 4 tokens in rows of 5, where . is padding:

    ids        [a1 a2 a3 b1 b2]    positions  [0 1 2 0 1]
               [c1 c2 c3 c4  .]               [0 1 2 3 0]
"""

import math
from collections.abc import Iterator
from heapq import heapreplace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROW = 64  # tokens, the longest row that is tried where no text is longer
TEXTS = (1, 2, 3, 4, 6, 8)  # of a row, on average, that are tried
MOST_SCORES = 1 << 20  # of a head, in one run: as many as 176 texts of 77 tokens have
SCORES = 450  # of a head, as many as take the time of a token's products: measured 380 to 700 on ViT-B-32


class Packed(NamedTuple):
    """Some texts in rows, and where each text's embedding is in the tower's output [B, K, D]."""

    ids: NDArray[np.int64]  # [B, L]
    positions: NDArray[np.int64]  # [B, L], within its own text
    owners: NDArray[np.int64]  # [B, L]: the number of the text, or 0 where there is padding
    ends: NDArray[np.int64]  # [B, K]: where each text of a row ends in it; 0 where there are fewer
    picked: NDArray[np.intp]  # [N], places in the B * K embeddings

    def runs(self) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[Any]]]]:
        """Yield ids, and the other inputs of a text tower, of as many rows at once as memory should hold."""
        count, width = self.ids.shape
        some = max(MOST_SCORES // width**2, 1)
        causal = np.tri(width, dtype=bool)
        for at in range(0, count, some):
            owners, ends = self.owners[at : at + some], self.ends[at : at + some]
            seen = (owners[:, :, None] == owners[:, None]) & causal  # padding sees earlier padding
            feed: dict[str, NDArray[Any]] = {"positions": self.positions[at : at + some]}
            feed["mask"] = np.where(seen, np.float32(0), np.float32(-np.inf))[:, None]
            feed["ends"] = ends + width * np.arange(len(ends))[:, None]
            yield self.ids[at : at + some], feed


def pack(ids: NDArray[np.int64], end_id: int | None) -> Packed:
    """Pack texts of token ids [N, L]. `end_id` ends a text; None means that the highest id of each row does."""
    found, lengths = _ends(ids, end_id)
    if len(ids) == 1:  # packing would take a fiftieth of a caption's time
        alone = ids[:, : lengths[0]]
        return Packed(alone, np.arange(lengths[0])[None], np.ones_like(alone), found[None], np.zeros(1, np.intp))
    layout = assign(lengths.tolist())
    shape = layout.height, layout.width
    text = np.repeat(np.arange(len(ids)), lengths)
    position = np.arange(len(text)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    row, start, place = np.array(layout.texts)
    token = (row * layout.width + start)[text] + position
    packed, positions, owners = np.zeros((3, layout.height * layout.width), np.int64)
    packed[token], positions[token], owners[token] = ids[text, position], position, text + 1
    most = int(place.max()) + 1
    ends = np.zeros((layout.height, most), np.int64)
    ends[row, place] = start + found
    return Packed(packed.reshape(shape), positions.reshape(shape), owners.reshape(shape), ends, row * most + place)


def cut(ids: NDArray[np.int64], end_id: int | None) -> NDArray[np.int64]:
    """Return ids [N, L] without what is padding in all rows, for a causal tower of an earlier version's bundle."""
    return ids[:, : _ends(ids, end_id)[1].max()]


def _ends(ids: NDArray[np.int64], end_id: int | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each text ends, and how many tokens it has."""
    found = ids.argmax(axis=1) if end_id is None else (ids == end_id).argmax(axis=1)
    return found, np.maximum(found + 1, 2)


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
    full = sum(lengths) / max(ROW, *lengths)
    heights = {-(-len(lengths) // texts) for texts in TEXTS} | {max(int(full), 1), math.ceil(full)}
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
