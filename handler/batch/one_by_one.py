"""Images that end their worker, by a crash of a decoder or for its memory: tried alone, then left out by name.

A process that is killed cannot say at which image. So where two workers of a shard ended before anything further was
saved, the images that they may have been at are embedded one by one, and a note says which one is under way. The image
with which ALONE more workers ended is recorded as failed, and the shard goes on behind it.
"""

from collections.abc import Callable, Iterable, Sequence

from handler.batch.parts import Note, Parts, Result
from handler.batch.rows import ENDED, Failed, Row

ALONE = 3  # workers that an image ends: one or two may have been stopped by somebody


def embedded(
    rows: Sequence[Row], start: int, parts: Parts, embed: Callable[[Sequence[Row]], Iterable[Result]], most: int
) -> list[Result]:
    """Return the results of the rows from `start` on, `most` of them, as far as they have to be embedded alone.

    The first time that a shard is tried again from `start`, nothing is: whatever killed its worker may have passed.
    """
    note = parts.note()
    if note is None or note.start != start:
        parts.take_note(Note(start, 0))
        return []
    results: list[Result] = []
    ended = note.ended
    for place, row in enumerate(rows[start : start + most], start):
        results.append(_failed(row) if ended >= ALONE else _alone(row, Note(place, ended), parts, embed))
        parts.save(place, results[-1:])
        ended = 0
    parts.take_note(Note(start + len(results), 0))
    return results


def _alone(row: Row, note: Note, parts: Parts, embed: Callable[[Sequence[Row]], Iterable[Result]]) -> Result:
    parts.take_note(note._replace(ended=note.ended + 1))
    try:
        (result,) = embed([row])
    except BaseException:
        parts.take_note(note)  # a worker that raises has not been killed
        raise
    return result


def _failed(row: Row) -> Failed:
    why = "it breaks a decoder, or needs more memory than they have"
    return Failed(row, ENDED, f"{row.key} ended {ALONE} workers that embedded it alone: {why}")
