"""Embeddings of both sides: of a bundle's model by the shipped handler, and of open_clip itself in fp32."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.bundle import build_cache
from layer.bundle.records import Manifest, ModelEntry, as_json
from layer.engines import ENGINES
from layer.errors import EvaluationError
from layer.quality import line_process
from layer.quality.data import Data
from layer.quality.embedding import Embedded, check_encodings, embed, of_handler, of_open_clip
from layer.quality.vector_cache import cached
from layer.sources import lock as locks
from layer.sources.prepared.chosen import Options
from layer.spec import ModelSpec, Spec
from layer.versions import installed

# Code that changes what is embedded.
SHIPPED = ("handler/*.py", "handler/*/*.py")
ASKS = ("layer/quality/open_clip_side.py", "layer/quality/embedding.py", "layer/bundle/reference.py")
LIBRARIES = ("open_clip_torch", "torch", "transformers", "timm", "Pillow")


@dataclass(frozen=True)
class Bundled:
    """One model of a bundle, and where what it was made from is found: models.toml, its lock, prepared caches."""

    bundle: Path
    facts: Manifest
    entry: ModelEntry
    spec: Spec
    lock: locks.Lock
    sources: Options
    cache: Path


def by_handler(model: Bundled, data: Data) -> Embedded:
    """Embed by the shipped handler, in a process without a network. Raises EvaluationError."""
    folder = f"models/{model.entry.slug}/"
    files = [(file.path, file.sha256) for file in model.facts.files if file.path.startswith(folder)]
    entry = {name: value for name, value in as_json(model.entry).items() if name != "quality"}
    known = ["handler", files, entry, build_cache.code_digest(patterns=SHIPPED), _places(data)]

    def compute() -> Embedded:
        torch = any(ENGINES[one.engine].ships_checkpoint for one in model.facts.models)
        with line_process.handler(model.bundle, torch) as ask:
            found = embed(of_handler(ask, model.entry.id), data)
            if len(data.templates) == 1 and not found.refused["text"]:
                prompts = [data.templates[0].replace("{}", text) for text in data.texts]
                check_encodings(ask, model.entry.id, prompts, found.texts)
            return found

    return cached(model.cache, _digest(known), compute)


def by_open_clip(model: Bundled, data: Data) -> Embedded:
    """Embed by open_clip in fp32, in a process without a network. Raises EvaluationError."""
    made_of = [(source.repo, source.revision) for source in model.entry.sources]
    versions = [installed(name) for name in LIBRARIES]
    code = build_cache.code_digest(patterns=ASKS)
    known = ["open_clip", model.entry.name, model.entry.pretrained, made_of, versions, code, _places(data)]

    def compute() -> Embedded:
        with _hub(model) as hub, line_process.open_clip(model.entry.name, model.entry.pretrained, hub) as ask:
            return embed(of_open_clip(ask), data)

    return cached(model.cache, _digest(known), compute)


def _places(data: Data) -> list[Any]:
    """Return what is embedded, in its order."""
    return [data.digests, data.texts, data.templates]


def _digest(known: list[Any]) -> str:
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


@contextmanager
def _hub(model: Bundled) -> Iterator[Path]:
    """Give the model's checkpoint as a Hugging Face cache: the bundle's own, or made of what a build fetches."""
    if ENGINES[model.entry.engine].ships_checkpoint:
        yield model.bundle / "models" / model.entry.slug / "hub"
        return
    from layer.files.link import link_own, point_to
    from layer.sources.hf_cache import place

    fetched = _fetched(model)
    model.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="evaluating-", dir=model.cache) as scratch:
        hub = Path(scratch) / "hub"
        for source in fetched:
            place(source, hub, link_own(model.cache, point_to))
        yield hub


def _fetched(model: Bundled) -> Sequence[Any]:
    from layer.registry.table import text_repositories
    from layer.sources.download import gather
    from layer.sources.prepared import chosen

    [weights, *_] = [source for source in model.entry.sources if "weights" in source.roles] or model.entry.sources
    entry = model.entry
    named = ModelSpec(entry.name, entry.pretrained, weights.revision, entry.engine, entry.precision)
    wanted = next((one for one in model.spec.models if one.id == entry.id), named)
    prepared = chosen.prepared(model.spec, model.sources, False, text_repositories, model.cache)
    [fetched] = gather([wanted], model.cache, model.lock, prepared)
    found = {source.repo: source.revision for source in fetched}
    for source in entry.sources:
        if found.get(source.repo) != source.revision:
            raise EvaluationError(
                f"{entry.id} of {model.bundle} was made from {source.repo} at {source.revision}, and the build would "
                f"take {found.get(source.repo, 'none of it')} now: run `python -m layer build`, then evaluate again"
            )
    return fetched
