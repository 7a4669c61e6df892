"""An index that cannot be made aside and switched to, filled from all that batches wrote."""

import contextlib
from collections.abc import Mapping
from typing import Any

from handler.search import updates
from handler.search.index import Index
from handler.search.rebuild import Plan, Progress, Rebuilt, catch_up, choose, patiently
from handler.search.records import ANY
from handler.search.source import Source


def fill(
    source: Source,
    index: Index,
    manifest: str = "",
    progress: Progress = lambda *_: None,
    settings: Mapping[str, Any] = ANY,
) -> Rebuilt:
    """Bring every file of one bundle into the index: of each key the latest look stays, as in a rebuild.

    `manifest` chooses a bundle, by the beginning of its hash, and `settings` one of several kinds. It may be stopped
    and started again. Files that come meanwhile are applied at the end. Raises SourceError, ApiError.
    """
    return patiently(source, lambda: _fill(source, index, choose(source, manifest, settings, progress), progress))


def _fill(source: Source, index: Index, plan: Plan, progress: Progress) -> Rebuilt:
    index.prepare(plan.about)
    put = 0
    for name, count in zip(plan.names, plan.counts, strict=True):
        # Small files may have been put together since: the rows are in one that was listed, or that comes last.
        with contextlib.suppress(FileNotFoundError):
            updates.apply(source, [name], index)
        put += count
        progress("rows", put, sum(plan.counts))
    late = catch_up(source, index, plan.about, set(plan.names))
    return Rebuilt(*index.counts(), sum(plan.counts), late, plan.others)
