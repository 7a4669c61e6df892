"""List the repositories of models in prepared sources before a build, each with its commit and license."""

from collections.abc import Sequence

from layer.errors import BuildError
from layer.sources import resolve
from layer.sources.lock import Lock, LockedSource
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec

NO_COMMIT = "0" * 40  # for files whose commit is not known


def listed(models: Sequence[ModelSpec], prepared: Prepared) -> Lock:
    """Return the sources of each model whose repositories are all here. Their files are not listed, and not hashed."""
    found = {model.id: _sources(model, prepared) for model in models if not model.checkpoint}
    return {name: sources for name, sources in found.items() if sources}


def _sources(model: ModelSpec, prepared: Prepared) -> tuple[LockedSource, ...] | None:
    weights = resolve.weights_need(model)
    in_config = "config" in weights.roles
    config = prepared.peek(weights.repo, resolve.CONFIG_FILE, model) if in_config else None
    if in_config and config is None:
        return None
    try:
        texts = resolve.text_needs(resolve.model_config(model, config))
    except BuildError:  # a build says what is wrong with it
        return None
    found = []
    for need in resolve.merge([weights, *texts]):
        asked = model.revision if need.repo == weights.repo else None
        stated = prepared.stated(need, asked, model)
        if stated is None:
            return None
        commit, license_name = stated
        found.append(LockedSource(need.repo, asked, commit or NO_COMMIT, need.roles, license_name, {}))
    return tuple(found)
