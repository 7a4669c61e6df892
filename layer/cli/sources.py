"""`--from`, the same for every command that looks for models' repositories."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from layer.spec import DEFAULT_SPEC, Spec, Target

if TYPE_CHECKING:
    from layer.sources.lock import Lock
    from layer.sources.prepared.chosen import Options  # and others late: `--help` need not wait for them
    from layer.sources.prepared.search import Prepared


def add_option(command: argparse.ArgumentParser) -> None:
    """Let a command take prepared caches."""
    command.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="[<org>/<name>=]<directory>",
        help="a prepared cache, or a folder with several; searched before the hub is asked, never changed; repeatable",
    )


def check_endpoint() -> None:
    """Refuse an HF_ENDPOINT that is not an address: importing huggingface_hub would fail with a traceback."""
    if "HF_ENDPOINT" in os.environ:
        from layer.network.environment import endpoint

        endpoint()


def of(options: argparse.Namespace) -> "Options":
    """Return the sources that the command line names. Raises SourceError for one that is not there.

    A wrong name is told also where nothing has to be looked for, as where every model is built.
    """
    from layer.sources.prepared import places
    from layer.sources.prepared.chosen import Options

    for text in options.sources:
        places.given(text, "--from")
    return Options(tuple(options.sources), options.models if options.models != DEFAULT_SPEC else None)


def prepared(spec: Spec, options: argparse.Namespace, cache: Path, update: bool = False) -> "Prepared":
    """Return the sources that a command searches. Raises SourceError for one that is not there."""
    from layer.registry.table import text_repositories
    from layer.sources.prepared import chosen

    return chosen.prepared(spec, of(options), update, text_repositories, cache)


def pinned(spec: Spec, options: argparse.Namespace) -> "Lock":
    """Return each model's pins: those of models.lock, else the commits in the sources. Needs no network."""
    from layer.sources import lock

    pins = lock.read(lock.lock_path(options.models))
    new = [model for model in spec.models if model.id not in pins]
    if not new or not (here := prepared(spec, options, Path())):
        return pins
    from layer.sources.prepared.listed import listed

    return {**listed(new, here), **pins}


def licenses(repositories: Sequence[str], options: argparse.Namespace) -> dict[str, str]:
    """Return the license of each repository, as the sources state it; the hub is asked for the others."""
    from layer.sources.licenses import stated

    here = prepared(Spec(Target(), ()), options, Path())
    return stated(repositories, {repo: found for repo in repositories if here and (found := here.license(repo))})
