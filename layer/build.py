"""Build a bundle: fetch, normalise, golden, verify, and only then put it in place."""

import shutil
import tempfile
from collections.abc import Sequence
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


def build(spec: Spec, output: Path, cache: Path, own_samples: Path | None = None) -> dict[str, Any]:
    """Build every model of the spec into one verified bundle at `output`; returns the handler's report on it.

    `cache` keeps what was downloaded, so that a build that was cut off goes on; `own_samples` is a directory of
    pictures and texts on which a fast engine is compared with open_clip, besides this project's own. Whatever goes
    wrong, raised as BuildError, the bundle that was at `output` stays as it was.
    """
    check_versions()
    output.parent.mkdir(parents=True, exist_ok=True)
    recover(output)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        staged = Path(scratch) / output.name
        staged.mkdir()
        fetched = [_fetch_all(model, cache / model.slug / "hub") for model in spec.models]
        _refuse_two_commits(spec.models, fetched)
        entries = []
        for model, sources in zip(tqdm(spec.models, desc="models", unit="model"), fetched, strict=True):
            if model.engine == "torch":
                entries.append(_with_cache(model, sources, staged))
            else:
                work = Path(scratch) / model.slug
                entries.append(_exported(model, spec, sources, staged, work, own_samples))
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


def _refuse_two_commits(models: Sequence[ModelSpec], fetched: Sequence[list[Fetched]]) -> None:
    """Raise BuildError where two models of engine torch, which share a cache at run time, pin a repository apart."""
    pins: dict[str, str] = {}
    for model, sources in zip(models, fetched, strict=True):
        for source in sources if model.engine == "torch" else []:
            if pins.setdefault(source.repo, source.revision) != source.revision:
                raise BuildError(
                    f"{model.id} takes {source.repo} at {source.revision}, another model at {pins[source.repo]}: one "
                    "process can hold only one of them; give both the same `revision`, or build two bundles"
                )


def _with_cache(model: ModelSpec, sources: list[Fetched], staged: Path) -> dict[str, Any]:
    """Ship the model as a Hugging Face cache, for open_clip itself."""
    hub = staged / "models" / model.slug / "hub"
    for source in sources:
        place(source, hub)
    return manifest.model_entry(model, sources, golden.compute(model.name, model.pretrained, hub))


def _exported(
    model: ModelSpec, spec: Spec, sources: list[Fetched], staged: Path, work: Path, own_samples: Path | None
) -> dict[str, Any]:
    """Ship the model as two towers and a tokenizer, for a fast engine; the checkpoint stays behind."""
    from layer.export.parity import export_model  # late: ONNX's packages are needed for this alone

    for source in sources:
        place(source, work / "hub")
    folder, entry = export_model(model, spec, work / "hub", sources, work, own_samples)
    (staged / "models").mkdir(exist_ok=True)
    folder.rename(staged / "models" / model.slug)
    shutil.rmtree(work)
    return entry


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
