"""Say what a model will take before it is built: its parameters, counted on the meta device, in its engine's form."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.engines import ENGINES
from layer.naming.image_formats import code_bytes
from layer.registry import lambda_limits, table
from layer.spec import ModelSpec, Spec


@dataclass(frozen=True)
class Estimate:
    """One model's share: `weights` and `tokenizer` in bytes, unzipped."""

    model: ModelSpec
    weights: int
    tokenizer: int


def estimate(spec: Spec, cache: Path) -> list[Estimate]:
    """Estimate every model of models.toml. Only a config is fetched, of a model that the registry does not know.

    Raises PlanError, FetchError or CheckpointError as a build would.
    """
    return [_one(model, cache) for model in spec.models]


def fits(spec: Spec, estimates: list[Estimate]) -> dict[str, int]:
    """Return for each package shape the bytes that it has left beside code and models; below 0 it does not fit."""
    engines = {model.engine for model in spec.models}
    total = sum(one.weights + one.tokenizer for one in estimates)
    total += sum(code_bytes(spec.target.image_formats).values())
    return {shape: lambda_limits.room(shape, engines) - total for shape in lambda_limits.SHAPES}


def _one(model: ModelSpec, cache: Path) -> Estimate:
    from layer.registry import parameter_count  # late: they import torch and open_clip
    from layer.sources import resolve  # late: they import torch and open_clip

    form = "torch fp32" if ENGINES[model.engine].ships_checkpoint else model.precision
    if not model.name.startswith("hf-hub:"):
        resolve.source_plan(model)  # a name or a tag that nobody knows
        row = table.known(model.name) or parameter_count.count(model.name)
    else:
        from layer.openclip import no_warnings

        config, towers = _fetched(model, cache)
        with no_warnings():
            row = parameter_count.count_config(config, towers)
    return Estimate(model, row["bytes"][form], row["tokenizer"])


def _fetched(model: ModelSpec, cache: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return open_clip's config of a repository, and transformers' configs by the names that it may go by."""
    from layer.registry import parameter_count
    from layer.sources import resolve
    from layer.sources.download import locate_repositories
    from layer.sources.fetch import download

    towers = parameter_count.towers()
    config: dict[str, Any] = {}
    for located in locate_repositories(model, cache, ()):
        for name in located.missing():
            if name in (resolve.CONFIG_FILE, "config.json"):
                download(located, name, lambda _: None)
        if "config" in located.need.roles:
            config = resolve.model_config(model, located.folder / resolve.CONFIG_FILE)
        if "text_config" in located.need.roles:
            towers[located.need.repo] = json.loads((located.folder / "config.json").read_text(encoding="utf-8"))
    return config, towers
