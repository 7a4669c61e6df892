"""An index that cannot be made aside and switched to, filled from all that batches wrote."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from handler.errors import ApiError
from handler.search import updates
from handler.search.rebuild import Plan, Progress, Rebuilt, catch_up, choose, patiently
from handler.search.records import ANY, About, differing, told
from handler.search.s3vectors import S3VectorsIndex
from handler.search.source import Source


def fill(
    source: Source,
    index: S3VectorsIndex,
    manifest: str = "",
    progress: Progress = lambda *_: None,
    settings: Mapping[str, Any] = ANY,
) -> Rebuilt:
    """Bring every file of one bundle into the index: of each key the latest look stays, as in a rebuild.

    `manifest` chooses a bundle, by the beginning of its hash, and `settings` one of several kinds: an index that was of
    another kind is emptied first. It may be stopped and started again. Files that come meanwhile are applied at the
    end. Raises SourceError, ApiError.
    """

    def make() -> Rebuilt:
        plan = choose(source, manifest, settings, progress)
        about = _begin(index, plan.about, settings)
        return _fill(source, index, plan._replace(about=about), progress)

    return patiently(source, make)


def _begin(index: S3VectorsIndex, about: About, chosen: Mapping[str, Any]) -> About:
    """Make the index one of `about`; returns what it is of. Images of other settings are removed: none is made aside.

    Raises ApiError, also index_of_another_model.
    """
    theirs = index.known(fresh=True)
    if theirs is None or theirs[:2] != about[:2]:
        index.prepare(about)
        return about
    if names := differing(theirs.settings, about.settings):
        _check_chosen(names, chosen, theirs, about, index.place)
        index.empty()  # before the record: if this is stopped, the next one begins here again
    else:
        about = about._replace(settings={**about.settings, **theirs.settings})
    if about != theirs:
        index.record(about)
    return about


def _check_chosen(names: Sequence[str], chosen: Mapping[str, Any], theirs: About, about: About, place: str) -> None:
    """Raise ApiError index_of_another_model where an index would be emptied for what the files happen to be."""
    if not chosen.keys() >= set(names):
        wanted = told(about.settings, names)
        raise ApiError(
            "index_of_another_model",
            f"the index at {place} has images embedded with {told(theirs.settings, names)}, and the files have vectors "
            f"with {wanted}. Name the index of {wanted}; or choose with --exif-orientation: it removes all from this "
            "one, and fills it with these",
        )


def _fill(source: Source, index: S3VectorsIndex, plan: Plan, progress: Progress) -> Rebuilt:
    put = 0
    for name, count in zip(plan.names, plan.counts, strict=True):
        # Small files may have been put together since: the rows are in one that was listed, or that comes last.
        with contextlib.suppress(FileNotFoundError):
            updates.apply(source, [name], index)
        put += count
        progress("rows", put, sum(plan.counts))
    late = catch_up(source, index, plan.about, set(plan.names))
    return Rebuilt(*index.counts(), sum(plan.counts), late, plan.others, plan.left_out)
