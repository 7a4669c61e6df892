"""Check that the hub and models.toml still agree with models.lock, for `python -m layer build --locked`."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from layer.errors import LockError
from layer.sources.fetch import WORKERS, Located, current_commit
from layer.sources.lock import Lock, LockedSource
from layer.spec import ModelSpec


def refuse_drift(models: Sequence[ModelSpec], pins: Lock, ask: bool = True) -> None:
    """Ask the hub for the current commit of each pinned branch. Raises LockError if one is not the lock's.

    Without `ask` (offline, or with named sources) the lock only has to have every model. Its commits and hashes are
    compared later, with the files that are found.
    """
    for model in models:
        if model.id not in pins:
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


def refuse_unpinned(models: Sequence[ModelSpec], found: Sequence[Sequence[Located]], pins: Lock) -> None:
    """Raise LockError if a model needs a commit, repository, file or checkpoint that is not in the lock.

    `found` are each model's repositories. This is called before anything large is downloaded.
    """
    told = [
        line
        for model, sources in zip(models, found, strict=True)
        for line in _unpinned(model, sources, pins.get(model.id, ()))
    ]
    if told:
        listing = "\n  ".join(told)
        raise LockError(
            f"models.toml asks for what models.lock has not:\n  {listing}\n`python -m layer build` without --locked "
            "takes it, shows what changed, and writes the lock"
        )


def _unpinned(model: ModelSpec, sources: Sequence[Located], pins: Sequence[LockedSource]) -> Iterator[str]:
    pinned = {pin.repo: pin for pin in pins}
    for one in sources:
        repo, pin = one.need.repo, pinned.get(one.need.repo)
        if pin is None:
            yield f"{model.id} takes its {' and '.join(one.need.roles)} from {repo}, which is not in the lock"
        elif pin.revision != one.revision and "checkpoint" in one.need.roles:
            yield f"{model.id}: its checkpoint, config or tokenizer have other contents than when the lock was made"
        elif pin.revision != one.revision:
            yield f"{model.id}: {repo} is at {one.revision}, models.lock has {pin.revision}"
        elif new := sorted(one.expected.keys() - pin.files.keys()):
            yield f"{model.id}: {', '.join(new)} of {repo} is not in the lock"
