"""Tell by paths, sizes and times whether a model's own files are still those that were hashed: they may be gigabytes.

A copy, a checkout or a restored cache changes times and paths, and not the contents. So where they differ the files are
hashed, and the hashes decide what is built anew.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from layer.sources import own_files
from layer.sources.lock import LockedSource
from layer.spec import ModelSpec


def place(model: ModelSpec, cache: Path) -> Path:
    """Return the directory of the cache in which a model of the user's own is written."""
    return cache / "local" / model.slug


def state(model: ModelSpec) -> list[Any]:
    """Return what is seen of the model's own files without reading the weights; take it before they are hashed."""
    files = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in own_files.read(model)]
    return [model.checkpoint, model.config, files]


def record(model: ModelSpec, cache: Path, before: list[Any], revision: str) -> None:
    """Keep the state that the files had `before` they were hashed into `revision`; hold the cache's lock."""
    path = _record(model, cache)
    aside = path.with_suffix(".writing")
    aside.write_text(json.dumps([before, revision]), encoding="utf-8")
    aside.replace(path)


def unchanged(model: ModelSpec, cache: Path, sources: Iterable[LockedSource]) -> bool:
    """Tell whether the files are in the state in which `sources` were made of them; true without own files."""
    if not model.checkpoint:
        return True
    try:
        before, revision = json.loads(_record(model, cache).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False
    made = [source.revision for source in sources if "checkpoint" in source.roles]
    return bool(made == [revision] and before == state(model))


def _record(model: ModelSpec, cache: Path) -> Path:
    return place(model, cache) / "state.json"
