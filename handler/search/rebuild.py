"""The index from all that batches wrote: made aside, then switched. Memory does not grow with the vectors."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handler.errors import ApiError
from handler.search import lance_table, lance_tuning, updates
from handler.search.index import Index
from handler.search.lance import LanceIndex
from handler.search.lance_pointer import Tables, new_name, older_than
from handler.search.latest import latest
from handler.search.records import ANY, About, comparable, differing, named, told, values
from handler.search.source import Looks, Source, SourceError, deletions, same

ABANDONED = timedelta(days=1)  # after which a table that is not the index is what a killed rebuild left
ROUNDS = 3  # listings for files that came meanwhile, before the switch: each is shorter than the one before
TRIES = 3  # times that files may disappear, as they do when small ones are put together

Marks = NDArray[np.bool_]
Progress = Callable[[str, int, int], None]  # what is done, how many rows of it, of how many in all


class Rebuilt(NamedTuple):
    """What a rebuild made: rows that can be found, keys that are gone, rows read, and files that came meanwhile.

    `other_settings` are files of the bundle that were left out, because their images were read otherwise,
    and `left_out` are those with a name that no batch writes.
    """

    rows: int
    gone: int
    read: int
    late: int
    other_settings: int
    left_out: int


class Plan(NamedTuple):
    """The files of one model: vectors and deletions, the rows of each; how many were left out, as Rebuilt has it."""

    about: About
    names: list[str]
    counts: list[int]
    others: int
    left_out: int


def rebuild(
    source: Source,
    index: LanceIndex,
    manifest: str = "",
    progress: Progress = lambda *_: None,
    settings: Mapping[str, Any] = ANY,
) -> Rebuilt:
    """Write the newest look of each key into a new table, index it, and switch to it.

    `manifest` chooses, by the beginning of a hash, where the vectors are of several bundles, and `settings` where they
    are of several settings. A reader has the old index until the new one is whole; if this fails or is killed, it keeps
    it. Files that come meanwhile are applied before the switch and after it; and who writes to the old index meanwhile
    writes to the new one, too. Any number may run at once: of two bundles, or two kinds of settings, the index is of
    the one whose rebuild began later. Raises SourceError, ApiError.
    """
    return patiently(source, lambda: _rebuild(source, index, manifest, settings, progress))


def patiently(source: Source, make: Callable[[], Rebuilt]) -> Rebuilt:
    """Begin again where a file that was listed is not there any more. Raises SourceError where that happens always."""
    for attempt in range(1, TRIES + 1):
        try:
            return make()
        except FileNotFoundError as error:
            if attempt == TRIES:
                raise SourceError(
                    f"{error}: files of {source.place} disappear while they are read; try again"
                ) from error
    raise AssertionError


def _rebuild(
    source: Source, index: LanceIndex, manifest: str, settings: Mapping[str, Any], progress: Progress
) -> Rebuilt:
    before, name = index.guard(index.pointer.read), new_name()
    plan = choose(source, manifest, settings, progress)
    try:
        _write(source, plan, index, name, progress)
        made = LanceIndex(index.place, name)
        progress("index", 0, 1)
        lance_tuning.create_index(made.table())
        known = set(plan.names)
        late = 0
        index.guard(lambda: index.pointer.announce(name))
        for turn in range(ROUNDS):
            progress("late", turn, ROUNDS)
            late += catch_up(source, made, plan.about, known)
        _check_overtaken(index, before, name, plan.about)
        older = index.switch(name)
    except BaseException:
        _drop(index, name)
        _withdraw(index, name)
        raise
    late += catch_up(source, index, plan.about, known)  # what was applied to the old one just before the switch
    _withdraw(index, name)
    _clean(index, older)
    return Rebuilt(*index.counts(), sum(plan.counts), late, plan.others, plan.left_out)


def choose(source: Source, manifest: str, settings: Mapping[str, Any], progress: Progress) -> Plan:
    """Return the files of one bundle and of one kind of settings. Raises SourceError for none, or those of several."""
    names, left_out = source.listed()
    abouts, counts, kept, others = {}, [], [], 0
    for place, name in enumerate(names):
        progress("files", place, len(names))
        if name.endswith(".parquet"):
            file = source.parquet(name)
            about = file.about()
            if not about.manifest_sha256.startswith(manifest):
                continue
            if differing(about.settings, settings):
                others += 1
                continue
            abouts[name] = about
            counts.append(file.count())
        else:
            counts.append(len(deletions(name, source.read(name))))
        kept.append(name)
    _check_choice(source, manifest, settings, abouts)
    about = same(abouts)
    # A file may record no setting: the index has what any of them records, and what was chosen.
    known = {name: found[0] for name, found in values(its.settings for its in abouts.values()).items()}
    return Plan(about._replace(settings={**known, **settings, **about.settings}), kept, counts, others, left_out)


def _check_choice(source: Source, manifest: str, settings: Mapping[str, Any], abouts: dict[str, About]) -> None:
    if not abouts:
        of = (f" of bundle {manifest}" if manifest else "") + (f" with {told(settings)}" if settings else "")
        fix = "name the directory or bucket that a batch wrote to, or embed the images (a run with another name)"
        raise SourceError(f"{source.place} has no vectors{of}: {fix}")
    hashes = sorted({about.manifest_sha256 for about in abouts.values()})
    if len(hashes) > 1:
        listed = ", ".join(one[:12] for one in hashes)
        raise SourceError(f"{source.place} has vectors of {len(hashes)} bundles ({listed}): choose one with --manifest")
    for name, found in values(about.settings for about in abouts.values()).items():
        if len(found) > 1:
            both = " and with ".join(sorted(told({name: value}, [name]) for value in found))
            raise SourceError(f"{source.place} has vectors with {both}: choose with --exif-orientation")


def _looks(source: Source, plan: Plan) -> Iterator[tuple[int, bool, Looks]]:
    for place, name in enumerate(plan.names):
        if name.endswith(".parquet"):
            for looks in source.parquet(name).looks():
                yield place, False, looks
        elif gone := deletions(name, source.read(name)):
            ids = [f"{one.bucket}/{one.key}" for one in gone]
            yield place, True, Looks(ids, np.array([one.seen_at for one in gone], np.int64), [""] * len(gone))


def _write(source: Source, plan: Plan, index: LanceIndex, name: str, progress: Progress) -> None:
    import pyarrow as pa

    progress("keys", 0, sum(plan.counts))
    marks = latest(plan.counts, lambda: _looks(source, plan))
    wanted = lance_table.schema(plan.about)

    failed: list[Exception] = []  # what LanceDB would tell as an error of its own

    def batches() -> Iterator[Any]:
        try:
            yield from _batches(source, plan, marks, progress)
        except Exception as error:
            failed.append(error)
            raise

    def create() -> None:
        reader = pa.RecordBatchReader.from_batches(wanted, batches())
        index.database().create_table(name, reader, schema=wanted, on_bad_vectors="null")

    try:
        index.guard(create)
    except ApiError:
        if failed:
            raise failed[0] from None
        raise


def _batches(source: Source, plan: Plan, marks: Sequence[Marks], progress: Progress) -> Iterator[Any]:
    done = 0
    for file, count, kept in zip(plan.names, plan.counts, marks, strict=True):
        if file.endswith(".parquet"):
            yield from source.parquet(file).rows(plan.about, kept)
        elif kept.any():
            gone = [one for one, mark in zip(deletions(file, source.read(file)), kept, strict=True) if mark]
            yield from lance_table.rows(gone, plan.about).to_batches()
        progress("rows", done := done + count, sum(plan.counts))


def catch_up(source: Source, index: Index, about: About, known: set[str]) -> int:
    """Apply the files that came since they were listed; returns how many."""
    new = [name for name in source.listed().names if name not in known]
    known.update(new)
    mine = [name for name in new if name.endswith(".jsonl") or comparable(source.parquet(name).about(), about)]
    updates.apply(source, mine, index)
    return len(mine)


def _check_overtaken(index: LanceIndex, before: Tables | None, name: str, about: About) -> None:
    """Raise ApiError index_of_another_model where an index of other vectors was made after this rebuild began.

    Of one bundle and one kind of settings both are the same, and either may be the index.
    """
    now = index.guard(index.pointer.read)
    if now and (before is None or now.table != before.table) and now.table > name:  # names begin with the time
        made = index.about()
        if not comparable(made, about):
            raise ApiError(
                "index_of_another_model",
                f"the index at {index.place} was made for {named(made)} after this rebuild for "
                f"{named(about)} began. This one was dropped: begin it again if the index is to be of its bundle and "
                "settings",
                "model",
            )


def _clean(index: LanceIndex, older: str | None) -> None:
    """Drop the table that was two switches ago, and what rebuilds left that were killed."""
    if older:
        _drop(index, older)
    kept = index.guard(index.pointer.read) or ()
    for name in index.guard(lambda: index.database().list_tables().tables):
        if older_than(name, ABANDONED) and name not in kept:
            _drop(index, name)


def _withdraw(index: LanceIndex, name: str) -> None:
    with contextlib.suppress(Exception):  # it does no harm: the table is the index, or is not there
        index.pointer.withdraw(name)


def _drop(index: LanceIndex, name: str) -> None:
    """Drop a table that is not the index; it is where the switch was done and its answer was lost."""
    with contextlib.suppress(Exception):  # it was not made yet, or another rebuild dropped it
        if name not in (index.pointer.read() or ()):
            index.database().drop_table(name)
