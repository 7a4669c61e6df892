"""Build a bundle: fetch, normalise, golden, verify, and only then put it in place."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from layer import golden, manifest, plan
from layer.errors import BuildError
from layer.fetch import Fetched, fetch
from layer.normalise import open_to_all, place
from layer.spec import ModelSpec, Spec
from layer.verify import verify
from layer.versions import check_versions


def build(spec: Spec, output: Path, cache: Path) -> dict[str, Any]:
    """Build every model of the spec into one verified bundle at `output`; returns the handler's report on it.

    `cache` keeps what was downloaded, so that a build that was cut off goes on. Whatever goes wrong, raised as
    BuildError, the bundle that was at `output` stays as it was.
    """
    check_versions()
    output.parent.mkdir(parents=True, exist_ok=True)
    recover(output)
    pins: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        staged = Path(scratch) / output.name
        staged.mkdir()
        entries = [_build_model(model, staged, cache, pins) for model in tqdm(spec.models, desc="models", unit="model")]
        open_to_all(staged)
        manifest.write(staged, spec, entries)
        open_to_all(staged)
        report = verify(staged)
        _swap(staged, output)
    return report


def recover(output: Path) -> None:
    """Put the previous bundle back if a build was killed just between taking it away and placing the new one."""
    old = _old(output)
    if old.exists() and not output.exists():
        old.rename(output)
    elif old.exists():
        shutil.rmtree(old)


def _build_model(model: ModelSpec, staged: Path, cache: Path, pins: dict[str, str]) -> dict[str, Any]:
    hub = staged / "models" / model.slug / "hub"
    sources = _fetch_all(model, cache / model.slug / "hub")
    for source in sources:
        if pins.setdefault(source.repo, source.revision) != source.revision:
            raise BuildError(
                f"{model.id} takes {source.repo} at {source.revision}, another model at {pins[source.repo]}: one "
                "process can hold only one of them; give both the same `revision`, or build two bundles"
            )
        place(source, hub)
    return manifest.model_entry(model, sources, golden.compute(model.name, model.pretrained, hub))


def _fetch_all(model: ModelSpec, cache: Path) -> list[Fetched]:
    """Fetch the weights' repository, then those that its config says the text side needs."""
    weights = plan.weights_need(model)
    config_file = None
    if "config" in weights.roles:
        config = fetch(plan.Need(weights.repo, ("config",)), model.revision, cache)
        config_file = config.folder / plan.CONFIG_FILE
    needs = plan.merge([weights, *plan.text_needs(plan.model_config(model, config_file))])
    return [fetch(need, model.revision if need.repo == weights.repo else None, cache) for need in needs]


def _swap(staged: Path, output: Path) -> None:
    """Put the new bundle in the old one's place; `recover` mends a kill between the two renames."""
    if output.exists():
        output.rename(_old(output))
    staged.rename(output)
    recover(output)


def _old(output: Path) -> Path:
    return output.with_name(f".{output.name}.old")
