"""The gate: a recipe is taken only if the shipped handler, without a network, agrees with open_clip on every sample."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layer import manifest, sandbox
from layer.errors import ExportError
from layer.export.kept import exported
from layer.export.recipes import RECIPES, Recipe
from layer.fetch import Fetched
from layer.progress import steps
from layer.spec import ModelSpec, Spec

LEAST = {"fp32": 0.99999, "int8": 0.999}  # cosine to open_clip, of the worst sample


def export_model(
    model: ModelSpec, spec: Spec, sources: list[Fetched], cache: Path, scratch: Path, own_samples: Path | None
) -> tuple[Path, dict[str, Any]]:
    """Export a model by the fastest recipe that passes; returns its folder of the bundle and its manifest entry.

    Raises ExportError with the cosines of every recipe when none passes.
    """
    tried: list[dict[str, Any]] = []
    trial = scratch / "trial"
    folder = trial / "models" / model.slug
    with steps(model.slug) as step:
        step("open_clip to ONNX")
        made = exported(model, sources, cache, own_samples)
        facts = json.loads((made / "facts.json").read_text())
        for recipe in RECIPES[model.engine, model.precision]:
            _write(made, model.engine, recipe, folder / model.engine, step)
            entry = manifest.model_entry(model, sources, facts)
            entry["export"] |= {"recipe": recipe.name, "activation_group": recipe.activation_group}
            step(f"comparing with open_clip: {recipe.name}")
            parity = _measure(trial, spec, entry, made / "samples.json")
            if min(parity["min_text_cosine"], parity["min_image_cosine"]) >= LEAST[model.precision]:
                entry["export"] |= {"parity": parity, "tried": tried}
                return folder, entry
            tried.append({"recipe": recipe.name, **parity})
    listing = "\n  ".join(
        f"{row['recipe']}: texts {row['min_text_cosine']:.6f}, images {row['min_image_cosine']:.6f}" for row in tried
    )
    advice = 'set precision = "fp32"' if model.precision == "int8" else 'set engine = "torch"'
    raise ExportError(
        f"{model.id} on {model.engine} is not exact enough at {model.precision}: lowest cosine to open_clip, of "
        f"{LEAST[model.precision]} required,\n  {listing}\n{advice} for this model in models.toml"
    )


def _write(made: Path, engine: str, recipe: Recipe, folder: Path, step: Callable[[str], None]) -> None:
    from layer.export.onnx_int8 import write_runtime_graph
    from layer.export.openvino_ir import write_ir
    from layer.export.token_table import write_table

    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.iterdir():
        leftover.unlink()
    for tower in ("image", "text"):
        step(f"{tower} tower: {recipe.name}")
        if engine == "onnx":
            write_runtime_graph(made / f"{tower}.onnx", recipe, folder / f"{tower}.onnx")
        else:
            write_ir(made / f"{tower}.onnx", recipe, folder / f"{tower}.xml")
    if (made / "text.table.npy").exists():
        write_table(made / "text.table.npy", recipe, folder)
    (folder / "tokenizer.json").write_bytes((made / "tokenizer.json").read_bytes())


def _measure(trial: Path, spec: Spec, entry: dict[str, Any], samples: Path) -> dict[str, Any]:
    """Run the shipped handler on a bundle of this one model, on samples that the bundle itself does not hold."""
    manifest.write(trial, spec, [entry])
    check = ["layer.runtime_only", "handler.selfcheck", "--samples", str(samples.resolve())]
    run = sandbox.run(trial, ["-m", *check])
    try:
        [report] = json.loads(run.stdout)["models"]
    except ValueError as error:
        raise ExportError(f"the handler died on {entry['id']}: {sandbox.reason(run)}") from error
    if report["error"]:
        raise ExportError(f"the handler cannot run {entry['id']} on {entry['engine']}: {report['error']}")
    if not report["token_ids_equal"]:
        raise ExportError(
            f"the exported tokenizer of {entry['id']} gives other token ids than open_clip's: "
            'set engine = "torch" for this model in models.toml, and report it'
        )
    return {key: report[key] for key in ("min_text_cosine", "min_image_cosine", "texts", "images")}
