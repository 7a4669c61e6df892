"""Refuse an `--output` that overlaps what the same command reads: sources, samples, checkpoints, its own cache."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from layer.cli import sources
from layer.files import overlap
from layer.spec import Spec


def check(spec: Spec, options: argparse.Namespace) -> None:
    """Raise StorageError where the output or the cache of a build or a fetch would replace or change what it reads."""
    from layer.sources.prepared import chosen

    named = [*chosen.named(spec, sources.of(options))]
    searched = [*named, *chosen.named_by_environment(bool(options.update), bool(named))]
    # Sources that the working directory lies in, as in `--from .`: the default output, build/, may lie in these.
    around = [one for one in named if overlap.relation(Path(), one[1]) in overlap.CHANGED]
    overlap.refuse(options.output, searched, overlap.REPLACED)
    overlap.refuse(options.output, [one for one in searched if one not in around], (overlap.INSIDE,))
    overlap.refuse(options.cache, [one for one in named if one not in around], overlap.CHANGED, overlap.CACHE)
    overlap.refuse(options.cache, around, (overlap.SAME,), overlap.CACHE)
    overlap.refuse(options.output, _read(spec, options), overlap.REPLACED)


def check_package(options: argparse.Namespace) -> None:
    """Raise StorageError where a package, or its cache, would replace or change the bundle or the code in it."""
    from layer.package.pipeline import HANDLER, OUTPUTS

    read = [(f"--bundle {options.bundle}", options.bundle), (f"the handler's code, {HANDLER}", HANDLER)]
    if options.extensions:
        read.append((f"--extensions {options.extensions}", options.extensions))
    overlap.refuse(options.output, read, overlap.CHANGED)
    overlap.refuse(options.cache, read, overlap.CHANGED, overlap.CACHE)
    for name in OUTPUTS:
        overlap.refuse(options.output / name, [*read, (f"--cache {options.cache}", options.cache)], overlap.REPLACED)


def made_by(spec: Spec, output: Path) -> Spec:
    """Return the spec that `fetch` reads: without a `cache` of models.toml that is the output of `fetch` itself."""
    from layer.sources.prepared.places import folder_of

    def other(cache: str | None) -> str | None:
        return None if cache and overlap.relation(output, folder_of(cache)) == overlap.SAME else cache

    models = tuple(replace(model, cache=other(model.cache)) for model in spec.models)
    return replace(spec, cache=other(spec.cache), models=models)


def _read(spec: Spec, options: argparse.Namespace) -> Iterator[overlap.Read]:
    """Yield the other places that are read. An output may be inside one, as beside the images of an evaluation."""
    from layer.sources.lock import lock_path

    for option in ("cache", "samples"):
        if place := getattr(options, option, None):
            yield f"--{option} {place}", place
    for place in (options.models, lock_path(options.models)):
        yield str(place), place
    for model in spec.models:
        for key, file in (("checkpoint", model.checkpoint), ("config", model.config)):
            if file and "://" not in file and Path(file).exists():
                yield f"{key} of {model.id} in {options.models}", Path(file)
    for key in ("pairs", "labels"):
        if place := getattr(spec.evaluation, key, None):
            yield f"{key} of [evaluate] in {options.models}", place
