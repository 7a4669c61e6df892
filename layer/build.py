"""Build a bundle: fetch, normalize, export, compute golden vectors, verify, and only then replace the old bundle."""

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layer.bundle import build_cache, manifest, vectors
from layer.bundle.assemble import put_in_place
from layer.bundle.build_cache import Built
from layer.bundle.records import ModelEntry
from layer.engines import ENGINES
from layer.errors import BuildError
from layer.files import disk_errors, replace
from layer.files.directory_lock import held
from layer.files.own_samples import check as check_samples
from layer.progress import bar
from layer.sources import lock as locks
from layer.sources import own_state
from layer.spec import ModelSpec, Spec

if TYPE_CHECKING:
    from layer.sources.fetch import Fetched  # and others late: a build with nothing to do takes no second to say so
    from layer.sources.prepared.chosen import Options
    from layer.sources.prepared.search import Prepared

CONTENTS = frozenset({manifest.NAME, "models"})  # everything at the top level of a bundle


def build(
    spec: Spec,
    output: Path,
    cache: Path,
    own_samples: Path | None = None,
    lock: Path | None = None,
    mode: str = "keep",
    sources: "Options | None" = None,
) -> dict[str, Any]:
    """Build every model of the spec into one verified bundle at `output`; returns the handler's reports on them.

    `cache` keeps downloads and finished models, so that an interrupted build continues. `own_samples` is a directory of
    images and texts on which a fast engine is compared with open_clip, in addition to this project's own. `lock` is
    models.lock. With `mode` "keep" its commits are used for the models that it has; "locked" raises LockError if the
    hub has newer ones; "update" takes the newest and shows what changed. `sources` are prepared caches, which are
    searched before the hub is asked. Raises BuildError; then the bundle that was at `output` is unchanged.
    """
    output = replace.place(output)
    with disk_errors.explained("the build", output.parent, cache):
        replace.check_replaceable(output, CONTENTS, manifest.NAME)
        if own_samples is not None:
            check_samples(own_samples)
        with held(output.with_name(f".{output.name}.lock"), str(output)), _cache_held(cache):
            replace.recover(output)
            replace.sweep(output.parent, f".{output.name}-")
            parts, pins = _parts(spec, cache, own_samples, lock, mode, sources)
            if spec.evaluation:
                from layer.quality.evaluate import Places, certified

                parts = certified(parts, spec.evaluation, Places(spec, pins, sources, cache))
            if spec.target.host_blob:
                from layer.bundle.host_blobs import with_blobs

                parts = with_blobs(parts, spec, cache)
            put_in_place(spec, parts, output)
    return {"ok": True, "models": [model for part in parts for model in part.report["models"]]}


def _parts(
    spec: Spec, cache: Path, own_samples: Path | None, lock: Path | None, mode: str, sources: "Options | None"
) -> tuple[list[Built], locks.Lock]:
    """Return every model's bundle, from the cache if nothing has changed, else built now; and its sources."""
    pins = locks.read(lock) if lock else {}
    if mode == "locked":
        from layer.network import environment
        from layer.sources.lock_check import refuse_drift

        named = any((sources and sources.given, spec.cache, *(model.cache for model in spec.models)))
        refuse_drift(spec.models, pins, ask=not named and environment.offline() is None)
    if mode != "update" and (finished := _all_finished(spec, cache, pins, own_samples)):
        return finished, pins
    from layer.registry.disk_space import refuse_too_little
    from layer.registry.table import text_repositories
    from layer.sources.prepared import chosen

    refuse_too_little(spec.models, cache)
    prepared = chosen.prepared(spec, sources or chosen.Options(), mode == "update", text_repositories, cache)
    return _make_all(spec, cache, pins, own_samples, lock, mode, prepared)


def _cache_held(cache: Path) -> AbstractContextManager[None]:
    """Lock the cache. One that is read-only needs no lock: finished models can be taken, and nobody can build there."""
    if cache.is_dir() and not os.access(cache, os.W_OK):
        return nullcontext()
    return held(cache / ".lock", str(cache))


def _all_finished(spec: Spec, cache: Path, pins: locks.Lock, own_samples: Path | None) -> list[Built] | None:
    """Return every model's bundle if all are finished; decided by the lock and the cache, without asking the hub."""
    if any(model.id not in pins or not own_state.unchanged(model, cache, pins[model.id]) for model in spec.models):
        return None
    found = [build_cache.find(cache, m, build_cache.fingerprint(m, pins[m.id], own_samples)) for m in spec.models]
    complete = [one for one in found if one]
    return complete if len(complete) == len(found) else None


def _make_all(
    spec: Spec,
    cache: Path,
    pins: locks.Lock,
    own_samples: Path | None,
    lock: Path | None,
    mode: str,
    prepared: "Prepared",
) -> tuple[list[Built], locks.Lock]:
    from layer.registry.table import weights_repository
    from layer.sources.download import gather
    from layer.sources.preflight import ask_hub
    from layer.versions import check_versions

    check_versions()
    pinned: locks.Lock = {} if mode == "update" else pins
    if mode != "locked":
        locks.check_writable(lock, pinned, (model.id for model in spec.models))
    ask_hub(spec.models, pinned, cache, prepared, weights_repository)
    _advise([model for model in spec.models if not model.checkpoint])
    fetched = gather(spec.models, cache, pinned, prepared, mode=mode)
    _advise([model for model in spec.models if model.checkpoint])  # after `gather`, which checks that they exist
    _refuse_two_commits(spec.models, fetched)
    found = {
        model.id: tuple(source.locked() for source in sources)
        for model, sources in zip(spec.models, fetched, strict=True)
    }
    if lock and mode != "locked":
        for line in locks.changes(pins, found):
            print(line, file=sys.stderr)
        locks.write(lock, found)
    _refuse_unfit(spec.models, fetched, found, cache, own_samples)
    parts = []
    with bar("models", len(spec.models), unit="model") as shown:
        for model, sources in zip(spec.models, fetched, strict=True):
            digest = build_cache.fingerprint(model, found[model.id], own_samples)
            ready = build_cache.find(cache, model, digest)
            parts.append(ready or _make(model, spec, sources, cache, digest, own_samples))
            shown.update()
    return parts, found


def _refuse_unfit(
    models: Sequence[ModelSpec],
    fetched: "Sequence[list[Fetched]]",
    found: locks.Lock,
    cache: Path,
    own_samples: Path | None,
) -> None:
    """Compare every checkpoint that is to be built with its config, before the first one takes minutes to build."""
    from layer.tensor_shapes.compare import refuse_unfit

    for model, sources in zip(models, fetched, strict=True):
        if not build_cache.find(cache, model, build_cache.fingerprint(model, found[model.id], own_samples)):
            refuse_unfit(model, sources)


def _make(
    model: ModelSpec, spec: Spec, sources: "list[Fetched]", cache: Path, digest: str, own_samples: Path | None
) -> Built:
    """Build a bundle of one model, verify it with the shipped handler, and store it in the cache."""
    from layer.bundle.verify import verify
    from layer.sources.hf_cache import open_to_all

    scratch = cache / "making" / model.slug
    shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
    bundle = scratch / "bundle"
    bundle.mkdir(parents=True)
    if ENGINES[model.engine].ships_checkpoint:
        entry = _with_cache(model, sources, bundle)
    else:
        entry = _exported(model, spec, sources, bundle, cache, scratch / "work", own_samples)
    open_to_all(bundle)
    manifest.write(bundle, spec, [vectors.named(entry, [source.locked() for source in sources], own_samples)])
    if ENGINES[model.engine].ships_checkpoint:
        _refuse_changed(model, sources, bundle)
    open_to_all(bundle)
    stored = build_cache.store(cache, model, digest, bundle, verify(bundle))
    shutil.rmtree(scratch)
    return stored


def _refuse_changed(model: ModelSpec, sources: "list[Fetched]", bundle: Path) -> None:
    """Raise FetchError if a file in the bundle has another hash than the file that was fetched."""
    from layer.sources.fetch import repo_folder

    shipped = {file.path: file.sha256 for file in manifest.read(bundle).files}
    for source in sources:
        folder = f"models/{model.slug}/hub/{repo_folder(source.repo)}/snapshots/{source.revision}"
        source.refuse_changed({name: shipped[f"{folder}/{name}"] for name in source.files})


def _advise(models: Sequence[ModelSpec]) -> None:
    from layer.sources import resolve

    for model in models:
        if advice := resolve.advice(model):
            print(f"note: {advice}", file=sys.stderr)


def _refuse_two_commits(models: Sequence[ModelSpec], fetched: "Sequence[list[Fetched]]") -> None:
    """Raise BuildError if two models of engine torch need two commits of a repository: at run time they share it."""
    pins: dict[str, str] = {}
    for model, sources in zip(models, fetched, strict=True):
        for source in sources if ENGINES[model.engine].ships_checkpoint else []:
            if pins.setdefault(source.repo, source.revision) != source.revision:
                raise BuildError(
                    f"{model.id} takes {source.repo} at {source.revision}, another model at {pins[source.repo]}: one "
                    "process can hold only one of them; give both the same `revision`, run `python -m layer build "
                    "--update`, or build two bundles"
                )


def _with_cache(model: ModelSpec, sources: "list[Fetched]", bundle: Path) -> ModelEntry:
    """Ship the model as a Hugging Face cache, for open_clip itself."""
    from layer.bundle import reference
    from layer.sources import hf_cache

    hub = bundle / "models" / model.slug / "hub"
    for source in sources:
        hf_cache.place(source, hub)
    return manifest.model_entry(model, sources, reference.compute(model.name, model.pretrained, hub))


def _exported(
    model: ModelSpec,
    spec: Spec,
    sources: "list[Fetched]",
    bundle: Path,
    cache: Path,
    work: Path,
    own_samples: Path | None,
) -> ModelEntry:
    """Ship the model as two towers and a tokenizer, for a fast engine, without its checkpoint."""
    from layer.export.parity_gate import export_model  # late: ONNX's packages are needed for this alone

    folder, entry = export_model(model, spec, sources, cache, work, own_samples)
    (bundle / "models").mkdir()
    folder.rename(bundle / "models" / model.slug)
    return entry
