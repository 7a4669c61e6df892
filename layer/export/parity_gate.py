"""The parity gate: a recipe is used only if the shipped handler, with it, agrees with open_clip on every sample."""

from collections.abc import Callable
from pathlib import Path

from layer.bundle import manifest
from layer.bundle.export_records import TowerFacts, Trial
from layer.bundle.records import ExportedFacts, ModelEntry
from layer.engines import ENGINES, Recipe
from layer.errors import ExportError
from layer.export import tokenizer_form
from layer.export.bounds import MIN_COSINE
from layer.export.comparison import TOWERS, Comparison, OtherIdsError
from layer.export.export_cache import exported
from layer.export.variants import with_variants
from layer.progress import steps
from layer.sources.fetch import Fetched
from layer.spec import ModelSpec, Spec


def export_model(
    model: ModelSpec, spec: Spec, sources: list[Fetched], cache: Path, scratch: Path, own_samples: Path | None
) -> tuple[Path, ModelEntry]:
    """Export a model, each tower with the fastest recipe that passes; returns its folder of the bundle and its entry.

    Each round writes the towers whose recipe is new, has the shipped handler compare both with open_clip, and drops the
    recipe of each tower that is not exact enough, until both pass or a tower has no recipe left.
    Raises ExportError with the cosines of every recipe if a tower has none that passes.
    """
    tried: list[Trial] = []
    trial = scratch / "trial"
    written = trial / "models" / model.slug / model.engine
    unwritten: tuple[str, ...] = TOWERS
    with steps(model.slug, number_of_steps(model)) as step:
        step("open_clip to ONNX")
        made = exported(model, sources, cache, own_samples)
        facts = manifest.parse(ExportedFacts, (made / "facts.json").read_text())
        left = {tower: list(recipes_of(model, tower, facts.export)) for tower in TOWERS}
        tokenizer_form.write(made, written, facts.tokenizer)
        source = fp32_graphs(made, model.precision, scratch / "smoothed", step)
        while all(left.values()):
            recipes = {tower: rest[0] for tower, rest in left.items()}
            for tower in unwritten:
                step(f"{tower} tower", recipes[tower].name)
                write_tower(made, source[tower], model.engine, tower, recipes[tower], written)
            step("comparing with open_clip")
            try:
                found = (gate := Comparison(trial, spec, model, sources, facts, made / "samples.json")).best(
                    recipes, tried
                )
            except OtherIdsError:
                if not tokenizer_form.is_mapped(facts.tokenizer):
                    raise
                facts, unwritten = tokenizer_form.read_whole(facts, model.id, made, written), ()
                continue
            unwritten = found.inexact
            if not unwritten:
                return written.parent, with_variants(gate, found, recipes, source, tried, step).passed(tried)
            tried += [found.trial(tower, left[tower].pop(0).name) for tower in unwritten]
    raise ExportError(_not_exact(model, tried))


def number_of_steps(model: ModelSpec) -> int:
    """Return how many steps `export_model` has, however many recipes it tries."""
    engine, in_8_bits = ENGINES[model.engine], model.precision == "int8"  # then both towers are smoothed, a step each
    return 4 + in_8_bits * (2 + engine.bf16_images + bool(engine.grouped_writer))


def _not_exact(model: ModelSpec, tried: list[Trial]) -> str:
    listing = "\n  ".join(f"{row.tower} tower, {row.recipe}: {row.min_cosine:.6f}" for row in tried)
    advice = 'set precision = "fp32"' if model.precision == "int8" else 'set engine = "torch"'
    return (
        f"{model.id} on {model.engine} is not exact enough at {model.precision}: lowest cosine to open_clip, of "
        f"{MIN_COSINE[model.precision]} required,\n  {listing}\n{advice} for this model in models.toml"
    )


def recipes_of(model: ModelSpec, tower: str, facts: TowerFacts) -> tuple[Recipe, ...]:
    """Return the recipes that are tried for a tower, the fastest first."""
    engine = ENGINES[model.engine]
    every = engine.recipes[model.precision]
    if tower == "image":
        return every
    for_texts = [recipe for recipe in every if not recipe.static]
    if engine.causal_text and facts.causal_text:
        for_texts = [engine.causal_text if recipe.per_token else recipe for recipe in for_texts]
    return tuple(for_texts)


def fp32_graphs(made: Path, precision: str, smoothed: Path, step: Callable[[str], None]) -> dict[str, Path]:
    """Return the fp32 graph that each tower's recipes start from: for int8, after SmoothQuant, with static ranges."""
    if precision == "fp32":
        return {tower: made / f"{tower}.onnx" for tower in TOWERS}
    from layer.export.smoothquant import write_smoothed
    from layer.export.static_ranges import write_static_ranges

    smoothed.mkdir(parents=True)
    for tower in TOWERS:
        step(f"{tower} tower: smoothing its channels (SmoothQuant)")
        write_smoothed(made / f"{tower}.onnx", made / "inputs.npz", smoothed / f"{tower}.onnx")
    write_static_ranges(smoothed / "image.onnx", made / "calibration.npz")
    return {tower: smoothed / f"{tower}.onnx" for tower in TOWERS}


def write_tower(made: Path, source: Path, engine: str, tower: str, recipe: Recipe, folder: Path) -> None:
    """Write a tower into `folder`, replacing an earlier one; the text tower with its token table."""
    from layer.export.token_table import write_table

    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob(f"{tower}.*"):
        earlier.unlink()
    record = ENGINES[engine]
    write = record.load_writer()
    write(source, recipe, folder / f"{tower}.{record.suffix}")
    if not any(folder.glob("*.wide.onnx")):
        (folder / "probe.onnx").unlink(missing_ok=True)  # of an earlier recipe; no tower needs the probe now
    if tower == "text" and (made / "text.table.npy").exists():
        write_table(made / "text.table.npy", recipe, folder)
