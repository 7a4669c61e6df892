"""An index that cannot be made aside and switched to, filled from all that batches wrote."""

from handler.search import updates
from handler.search.index import Index
from handler.search.rebuild import Progress, Rebuilt, choose
from handler.search.source import Source


def fill(source: Source, index: Index, manifest: str = "", progress: Progress = lambda *_: None) -> Rebuilt:
    """Bring every file of one bundle into the index: of each key the latest look stays, as in a rebuild.

    `manifest` chooses a bundle, by the beginning of its hash. It may be stopped and started again. Raises SourceError,
    ApiError.
    """
    plan = choose(source, manifest, progress)
    index.prepare(plan.about)
    put = gone = 0
    for name, count in zip(plan.names, plan.counts, strict=True):
        counts = updates.apply(source, [name], index)
        gone += counts["deleted"]
        put += count
        progress("rows", put, sum(plan.counts))
    return Rebuilt(index.count(), gone, sum(plan.counts), 0)
