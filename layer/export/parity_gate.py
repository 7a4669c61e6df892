"""The gate: a recipe is taken only if the shipped handler, without a network, agrees with open_clip on every sample."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from layer.bundle import manifest, sandbox
from layer.engines import ENGINES, Recipe
from layer.errors import ExportError
from layer.export.export_cache import exported
from layer.progress import steps
from layer.sources.fetch import Fetched
from layer.spec import ModelSpec, Spec

TOWERS = ("image", "text")
MIN_COSINE = {"fp32": 0.99999, "int8": 0.999}  # cosine to open_clip, of the worst sample


def export_model(
    model: ModelSpec, spec: Spec, sources: list[Fetched], cache: Path, scratch: Path, own_samples: Path | None
) -> tuple[Path, dict[str, Any]]:
    """Export a model, each tower by the fastest recipe that passes; returns its folder of the bundle and its entry.

    Each round writes the towers whose recipe is new, has the shipped handler compare both with open_clip, and drops the
    recipe of each tower that is not exact enough, until both pass or a tower has no recipe left.
    Raises ExportError with the cosines of every recipe when a tower has none that passes.
    """
    tried: list[dict[str, Any]] = []
    trial = scratch / "trial"
    folder = trial / "models" / model.slug
    left = {tower: list(ENGINES[model.engine].recipes[model.precision]) for tower in TOWERS}
    unwritten: tuple[str, ...] = TOWERS
    # To ONNX, both towers written, compared; for 8 bits both are smoothed (SmoothQuant) first.
    with steps(model.slug, 4 if model.precision == "fp32" else 6) as step:
        step("open_clip to ONNX")
        made = exported(model, sources, cache, own_samples)
        facts = json.loads((made / "facts.json").read_text())
        source = _sources(made, model.precision, scratch / "smoothed", step)
        while all(left.values()):
            recipes = {tower: rest[0] for tower, rest in left.items()}
            for tower in unwritten:
                step(f"{tower} tower: {recipes[tower].name}")
                _write(made, source[tower], model.engine, tower, recipes[tower], facts, folder / model.engine)
            entry = manifest.model_entry(model, sources, facts)
            entry["export"] |= {tower: recipe.entry for tower, recipe in recipes.items()}
            step("comparing with open_clip")
            manifest.write(trial, spec, [entry])
            parity = _measure(trial, entry, made / "samples.json")
            unwritten = tuple(tower for tower in TOWERS if parity[f"min_{tower}_cosine"] < MIN_COSINE[model.precision])
            if not unwritten:
                required = {"required_cosine": MIN_COSINE[model.precision]}
                entry["export"] |= {"parity": {**parity, **required}, "tried": tried}
                return folder, entry
            tried += [_trial(tower, recipes[tower], parity) for tower in unwritten]
            for tower in unwritten:
                left[tower].pop(0)
    raise ExportError(_not_exact(model, tried))


def _trial(tower: str, recipe: Recipe, parity: Mapping[str, Any]) -> dict[str, Any]:
    return {"tower": tower, "recipe": recipe.name, "min_cosine": parity[f"min_{tower}_cosine"]}


def _not_exact(model: ModelSpec, tried: list[dict[str, Any]]) -> str:
    listing = "\n  ".join(f"{row['tower']} tower, {row['recipe']}: {row['min_cosine']:.6f}" for row in tried)
    advice = 'set precision = "fp32"' if model.precision == "int8" else 'set engine = "torch"'
    return (
        f"{model.id} on {model.engine} is not exact enough at {model.precision}: lowest cosine to open_clip, of "
        f"{MIN_COSINE[model.precision]} required,\n  {listing}\n{advice} for this model in models.toml"
    )


def _sources(made: Path, precision: str, smoothed: Path, step: Callable[[str], None]) -> dict[str, Path]:
    """Return the fp32 graph of each tower that its recipes begin with."""
    if precision == "fp32":
        return {tower: made / f"{tower}.onnx" for tower in TOWERS}
    from layer.export.smoothquant import write_smoothed

    smoothed.mkdir(parents=True)
    for tower in TOWERS:
        step(f"{tower} tower: smoothing its channels (SmoothQuant)")
        write_smoothed(made / f"{tower}.onnx", made / "inputs.npz", smoothed / f"{tower}.onnx")
    return {tower: smoothed / f"{tower}.onnx" for tower in TOWERS}


def _write(
    made: Path, source: Path, engine: str, tower: str, recipe: Recipe, facts: Mapping[str, Any], folder: Path
) -> None:
    """Write a tower into `folder` in the place of an earlier one, the text tower with its table and tokenizer."""
    from layer.export.token_table import write_table

    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob(f"{tower}.*"):
        earlier.unlink()
    record = ENGINES[engine]
    blocks = record.causal_text_in_blocks and tower == "text" and facts["export"]["causal_text"]
    write = record.load_writer()
    write(source, recipe, folder / f"{tower}.{record.suffix}", per_token=recipe.per_token and not blocks)
    if not any(folder.glob("*.wide.onnx")):
        (folder / "probe.onnx").unlink(missing_ok=True)  # of an earlier one: there is nothing left to choose
    if tower == "text":
        if (made / "text.table.npy").exists():
            write_table(made / "text.table.npy", recipe, folder)
        (folder / "tokenizer.json").write_bytes((made / "tokenizer.json").read_bytes())


def _measure(trial: Path, entry: dict[str, Any], samples: Path) -> dict[str, Any]:
    """Run the shipped handler on a bundle of this one model, on samples that the bundle itself does not hold."""
    check = ["layer.bundle.runtime_only", "handler.selfcheck", "--samples", str(samples.resolve())]
    run = sandbox.run(trial, ["-m", *check])
    try:
        [report] = json.loads(run.stdout)["models"]
    except ValueError as error:
        raise ExportError(f"the handler died on {entry['id']}: {sandbox.reason(run)}") from error
    if report["error"]:
        raise ExportError(
            f"the handler cannot run {entry['id']} on {entry['engine']}: {report['error'].strip()}: "
            'set another engine for this model in models.toml; every one runs with engine = "torch"'
        )
    if not report["token_ids_equal"]:
        raise ExportError(
            f"the exported tokenizer of {entry['id']} gives other token ids than open_clip's: "
            'set engine = "torch" for this model in models.toml, and report it'
        )
    return {key: report[key] for key in ("min_text_cosine", "min_image_cosine", "texts", "images")}
