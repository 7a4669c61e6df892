"""Whether the hub still stands where models.lock was made: `python -m layer build --locked`."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from layer.errors import LockError
from layer.sources.fetch import WORKERS, current_commit
from layer.sources.lock import Lock
from layer.spec import ModelSpec


def refuse_drift(models: Sequence[ModelSpec], pins: Lock, ask: bool = True) -> None:
    """Ask the hub where each pinned branch stands now. Raises LockError for what is not the lock's.

    Without `ask`, offline or where sources are named, the lock only has to have every model: its commits and hashes
    hold for what is found.
    """
    for model in models:
        if model.checkpoint is None and model.id not in pins:
            raise LockError(f"models.lock has no {model.id}: run `python -m layer build` once without --locked")
    if not ask:
        return
    sources = {(source.repo, source.asked): source for model in models for source in pins.get(model.id, ())}
    remote = [source for source in sources.values() if "checkpoint" not in source.roles]
    with ThreadPoolExecutor(WORKERS) as pool:
        commits = list(pool.map(lambda source: current_commit(source.repo, source.asked), remote))
    moved = [
        f"{source.repo} is at {commit}, models.lock has {source.revision}"
        for source, commit in zip(remote, commits, strict=True)
        if commit != source.revision
    ]
    if moved:
        listing = "\n  ".join(moved)
        raise LockError(
            f"the hub has newer commits:\n  {listing}\n`python -m layer build --update` uses them and shows what "
            "changed; without --locked the build uses the lock"
        )
