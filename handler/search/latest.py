"""Which row of which file counts for each key: the latest look. In bounded memory, however many rows there are."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handler.search.source import Looks

AT_ONCE = 2_000_000  # rows that are compared at once: 41 bytes each, and as much again to sort them

Read = Callable[[], Iterator[tuple[int, bool, Looks]]]


class Rows(NamedTuple):
    """Some rows: two halves of the id's digest, what two looks of a key are compared by, and the row's number."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    seen_at: NDArray[np.int64]
    gone: NDArray[np.bool_]
    etag: NDArray[np.uint64]
    number: NDArray[np.int64]


def latest(counts: Sequence[int], read: Read, at_once: int = AT_ONCE) -> list[NDArray[np.bool_]]:
    """Mark the rows that count, for each file of `counts` rows.

    `read` yields, again and again, (file, whether its rows are gone, looks) in order. Ids that are compared together
    are a share of all, by their digest: more rows are read several times, not held. Beside that, a byte a row is held.
    """
    total = sum(counts)
    kept = np.zeros(total, bool)
    shares = -(-total // at_once) or 1
    for share in range(shares):
        parts = list(_of_share(counts, read, share, shares))
        if parts:
            kept[_winners(Rows(*map(np.concatenate, zip(*parts, strict=True))))] = True
    return np.split(kept, np.cumsum(counts)[:-1])


def _of_share(counts: Sequence[int], read: Read, share: int, shares: int) -> Iterator[Rows]:
    starts = [0, *np.cumsum(counts).tolist()]
    done = dict.fromkeys(range(len(counts)), 0)
    for file, gone, looks in read():
        digests = np.frombuffer(b"".join(map(_digest, looks.ids)), np.uint64).reshape(-1, 2)
        numbers = starts[file] + done[file] + np.arange(len(looks.ids))
        done[file] += len(looks.ids)
        mine = digests[:, 0] % np.uint64(shares) == share
        etags = np.array([int.from_bytes(etag.encode()[:8].ljust(8, b"\0")) for etag in looks.etags], np.uint64)
        flags = np.full(len(looks.ids), gone)
        columns = (digests[:, 0], digests[:, 1], looks.seen_at, flags, etags, numbers)
        yield Rows(*(column[mine] for column in columns))


def _winners(rows: Rows) -> NDArray[np.int64]:
    """Return the numbers of the rows that come last among those of their key, as records.order has it."""
    order = np.lexsort((rows.number, rows.etag, rows.gone, rows.seen_at, rows.low, rows.high))
    high, low = rows.high[order], rows.low[order]
    last = np.ones(len(order), bool)
    last[:-1] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return rows.number[order[last]]


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()
