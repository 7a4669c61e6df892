"""Estimate the size of a model before it is built: its parameters, counted on the meta device, in its engine's form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layer.engines import ENGINES
from layer.errors import CheckpointError
from layer.naming.image_formats import code_bytes
from layer.registry import lambda_limits, table
from layer.spec import ModelSpec, Spec

if TYPE_CHECKING:
    from layer.sources.lock import Lock  # late: a model of the registry needs nothing of a source
    from layer.sources.prepared.chosen import Options

Config = dict[str, Any]


@dataclass(frozen=True)
class Estimate:
    """One model's share: `weights` and `tokenizer` in bytes, unzipped."""

    model: ModelSpec
    weights: int
    tokenizer: int


def estimate(spec: Spec, cache: Path, pins: "Lock | None" = None, sources: "Options | None" = None) -> list[Estimate]:
    """Estimate every model of models.toml. Only a config is fetched, of a model that the registry does not know.

    It comes from the same places as in a build: prepared caches, then the hub at the commits of `pins`. Raises
    PlanError, FetchError, SourceError or CheckpointError as a build would.
    """
    configs = _configs([model for model in spec.models if model.name.startswith("hf-hub:")], spec, cache, pins, sources)
    return [_one(model, configs) for model in spec.models]


def fits(spec: Spec, estimates: list[Estimate]) -> dict[str, int]:
    """Return for each package shape the bytes that it has left beside code and models; below 0 it does not fit."""
    engines = {model.engine for model in spec.models}
    total = sum(one.weights + one.tokenizer for one in estimates)
    total += sum(code_bytes(spec.target.image_formats).values())
    return {shape: lambda_limits.room(shape, engines) - total for shape in lambda_limits.SHAPES}


def _one(model: ModelSpec, configs: "Mapping[str, tuple[Config, Config]]") -> Estimate:
    form = "torch fp32" if ENGINES[model.engine].ships_checkpoint else model.precision
    row = table.of_pair(model.name, model.pretrained) or _counted(model, configs.get(model.id))
    return Estimate(model, row["bytes"][form], row["tokenizer"])


def _counted(model: ModelSpec, configs: "tuple[Config, Config] | None") -> Config:
    from layer.registry import parameter_count  # late, as the next one: torch takes seconds
    from layer.sources import resolve

    if configs:
        try:
            return parameter_count.count_config(*configs)
        except CheckpointError as error:
            raise CheckpointError(f"{model.id}: {error}") from error
    resolve.source_plan(model)  # a name or a tag that nobody knows
    return parameter_count.count(model.name)


def _configs(
    models: Sequence[ModelSpec], spec: Spec, cache: Path, pins: "Lock | None", sources: "Options | None"
) -> "dict[str, tuple[Config, Config]]":
    """Return open_clip's config of each model, and transformers' configs by every name that a config may use."""
    if not models:
        return {}
    from layer.sources import resolve
    from layer.sources.download import gather_configs
    from layer.sources.prepared import chosen

    prepared = chosen.prepared(spec, sources or chosen.Options(), False, table.text_repositories, cache)
    located = gather_configs(models, cache, pins or {}, prepared)
    from layer.registry import parameter_count  # late: it imports torch

    found = {}
    for model, fetched in zip(models, located, strict=True):
        config: Config = {}
        towers = parameter_count.towers()
        for one in fetched:
            if "config" in one.need.roles:
                config = resolve.model_config(model, one.folder / resolve.CONFIG_FILE)
            if "text_config" in one.need.roles:
                towers[one.need.repo] = json.loads((one.folder / "config.json").read_text(encoding="utf-8"))
        found[model.id] = (config, towers)
    return found
