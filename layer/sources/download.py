"""Get the files of all models of a build: first find every repository, then download in parallel under one bar."""

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from console.counts import counted
from layer.errors import LockError, StorageError
from layer.files import disk_errors
from layer.files.link import link
from layer.network import environment, xet
from layer.progress import Bar, bar
from layer.sources import local_checkpoint, resolve
from layer.sources.fetch import WORKERS, Fetched, Located, download, locate, partial_of
from layer.sources.lock import Lock, LockedSource
from layer.sources.lock_check import refuse_unpinned
from layer.sources.prepared.missing import PinOf, refuse_missing
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec

NOTHING_PREPARED = Prepared()
CONFIGS = ("config", "text_config")


def gather(
    models: Sequence[ModelSpec],
    cache: Path,
    pins: Lock,
    prepared: Prepared = NOTHING_PREPARED,
    by_xet: bool = False,
    mode: str = "keep",
) -> list[list[Fetched]]:
    """Get every model's repositories from `prepared`, else from the hub, at the commits of `pins` if it has them.

    All repositories are found before the first large file is downloaded, so that a wrong name fails within seconds:

    1. `locate_repositories` finds out for each model, in parallel, which files of which commits it needs: with
       `mode` "locked", those of `pins`. With "update", checkpoints at URLs are downloaded again before that.
    2. Files that another commit in the cache has, too, are linked. The rest is listed by folder and name, so that a
       repository which two models use is downloaded once: two files of weights of 800 MB, and one tokenizer of 2 MB for
       both models, are 1,602 MB and not 1,604.
    3. Those are downloaded in parallel, and their hashes are compared with the lock's.

    Returns the repositories of each model, in the models' order. Raises FetchError, PlanError, LockError, and
    SourceError if prepared sources lack something and the hub cannot be asked.
    """
    of_model = _pins_of(models, pins)
    if prepared or environment.offline():
        refuse_missing(models, cache, prepared, _pin_of(of_model))
    if mode == "update" and not environment.offline():
        local_checkpoint.fetch_again(models, cache)
    found = _locate_all(models, cache, of_model, prepared)
    if mode == "locked":
        refuse_unpinned(models, found, pins)
    prepared.tell(one for sources in found for one in sources)
    for one in (one for sources in found for one in sources):
        one.take_over()
    located = {(one.folder, name): one for sources in found for one in sources for name in one.missing()}
    _download_all([(one, name) for (_, name), one in located.items()], cache / "hub", by_xet)
    fetched = [[one.fetched() for one in sources] for sources in found]
    for model, sources in zip(models, fetched, strict=True):
        _refuse_other_files(model, sources, pins.get(model.id, ()))
    return fetched


def gather_configs(models: Sequence[ModelSpec], cache: Path, pins: Lock, prepared: Prepared) -> list[list[Located]]:
    """Get only the configs of every model, some KB: open_clip's and the text tower's, from the places of `gather`.

    Raises as `gather` does.
    """
    of_model = _pins_of(models, pins)
    if prepared or environment.offline():
        refuse_missing(models, cache, prepared, _pin_of(of_model), roles=CONFIGS)
    found = [locate_repositories(model, cache, of_model[model.id], prepared, CONFIGS) for model in models]
    for one in (one for sources in found for one in sources):
        _get_config(one)
    return found


def locate_repositories(
    model: ModelSpec,
    cache: Path,
    pins: Sequence[LockedSource],
    prepared: Prepared,
    roles: Sequence[str] = resolve.ROLES,
) -> list[Located]:
    """Find the repository of the weights, then those that its config names for the text side; only for these `roles`.

    Only the config says where tokenizer and text tower come from, and it is in the repository of the weights. So that
    repository is located twice: for its config, which is downloaded immediately (some KB), then for all of its files.
    For acme/siglip, whose open_clip_config.json has "hf_tokenizer_name": "acme/words":

        weights_need  ->  weights and config of acme/siglip
        text_needs    ->  tokenizer of acme/words
        merge         ->  one need for each repository, with all of its roles: these two, and each is located
    """

    def find(need: resolve.Need, asked: str | None) -> Located:
        pin = _pin(need.repo, asked, pins)
        return prepared.find(need, asked, pin, model) or locate(need, asked, cache / "hub", pin)

    if model.checkpoint:
        own = local_checkpoint.repository(model, cache, roles)
        return [own.located, *(find(need, None) for need in resolve.limited(own.needs, roles))]
    weights = resolve.weights_need(model)
    config_file = None
    if "config" in weights.roles:
        config = find(resolve.Need(weights.repo, ("config",)), model.revision)
        _get_config(config)
        config_file = config.folder / resolve.CONFIG_FILE
    needs = resolve.merge([weights, *resolve.text_needs(resolve.model_config(model, config_file))])
    wanted = resolve.limited(needs, roles)
    return [find(need, model.revision if need.repo == weights.repo else None) for need in wanted]


def _get_config(located: Located) -> None:
    """Get the missing files, some KB, each under a name of this process: `gather_configs` is called without a lock."""
    for name in located.missing():
        located.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".config-", dir=located.folder) as scratch:
            aside = replace(located, folder=Path(scratch))
            if older := located.elsewhere(name):
                link(older, aside.folder / name)
            else:
                download(aside, name, lambda _: None)
            (aside.folder / name).replace(located.folder / name)


def _locate_all(
    models: Sequence[ModelSpec], cache: Path, of_model: Mapping[str, Sequence[LockedSource]], prepared: Prepared
) -> list[list[Located]]:
    for model in models:
        local_checkpoint.refuse_missing(model)
    from layer.openclip import open_clip  # noqa: F401 - here, because Ctrl-C does not stop an import in a worker thread

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda model: locate_repositories(model, cache, of_model[model.id], prepared), models))


def _pins_of(models: Sequence[ModelSpec], pins: Lock) -> dict[str, list[LockedSource]]:
    """Return each model's pins, its own first, then all others': a new model uses the commits that the others have."""
    every = [source for sources in pins.values() for source in sources]
    return {model.id: [*pins.get(model.id, ()), *every] for model in models}


def _pin_of(of_model: Mapping[str, Sequence[LockedSource]]) -> PinOf:
    return lambda model, repo, asked: _pin(repo, asked, of_model[model.id])


def _pin(repo: str, asked: str | None, pins: Sequence[LockedSource]) -> LockedSource | None:
    """Return the pin of a repository; None if it was made for another branch, tag or commit than `asked`."""
    return next((pin for pin in pins if (pin.repo, pin.asked) == (repo, asked)), None)


def _refuse_other_files(model: ModelSpec, sources: Sequence[Fetched], pins: Sequence[LockedSource]) -> None:
    for source in sources:
        for pin in pins:
            if (pin.repo, pin.revision) != (source.repo, source.revision):
                continue
            for name in {*pin.files} & {*source.facts}:
                if pin.files[name] != source.facts[name]:
                    raise LockError(
                        f"{name} of {source.repo}, for {model.id}, has sha256 {source.facts[name].sha256}, models.lock "
                        f"has {pin.files[name].sha256} at the same commit: somebody changed it; if that is right, run "
                        "`python -m layer build --update`"
                    )


def _download_all(jobs: Sequence[tuple[Located, str]], hub: Path, by_xet: bool) -> None:
    if not jobs:
        return
    total = sum(one.expected[name].size or 0 for one, name in jobs)
    there = sum(_size(partial_of(one.folder / name)) for one, name in jobs)
    _refuse_too_much(total - there, hub)
    stop = threading.Event()
    title = f"downloading {counted(len(jobs), 'file')}"
    with bar(title, total, done=there) as shown:
        advance = _advance(shown, stop)
        with ThreadPoolExecutor(WORKERS) as pool:
            running: list[Future[None]] = []
            try:  # around the start, too: Ctrl-C may come when the first download has begun
                for one, name in jobs:
                    running.append(pool.submit(download, one, name, advance, by_xet))
                for done in as_completed(running):
                    done.result()
            except BaseException:
                stop.set()  # the others end at their next chunk: what they have is kept for the next build
                if by_xet:
                    xet.abort()
                for job in running:
                    job.cancel()
                raise


def _refuse_too_much(left: int, hub: Path) -> None:
    if left > disk_errors.free(hub):
        raise StorageError(
            f"{left / 1e6:,.0f} MB are to be downloaded, and {disk_errors.space(hub)}: "
            "make room, or name another --cache"
        )


def _advance(shown: Bar, stop: threading.Event) -> Callable[[int], None]:
    lock = threading.Lock()

    def advance(count: int) -> None:
        if stop.is_set():
            raise InterruptedError("another download failed, or the build was stopped")
        with lock:
            shown.update(count)

    return advance


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
