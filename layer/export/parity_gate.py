"""The parity gate: a recipe is used only if the shipped handler, with it, agrees with open_clip on every sample."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from layer.bundle import manifest, sandbox
from layer.bundle.records import Export, ExportedFacts, ModelEntry, Parity, TowerFacts, TowerRecipe, Trial
from layer.engines import ENGINES, Recipe
from layer.errors import ExportError
from layer.export import tokenizer_form
from layer.export.bounds import MIN_COSINE, MOST_BF16_LOSS, least_cosine
from layer.export.export_cache import exported
from layer.export.rounded_activations import rounded
from layer.progress import steps
from layer.sources.fetch import Fetched
from layer.spec import ModelSpec, Spec

TOWERS = ("image", "text")
BF16 = "bf16"  # names of variants in the handler's report (handler/engines/openvino_engine.py)
NO_INTEGERS = "f32, no 8-bit products"
JPEG_DECODING = {"fp32": "full", "int8": "reduced"}  # tried first, by precision


class _OtherIdsError(ExportError):
    """The exported tokenizer gives other token ids than open_clip's."""


@dataclass(frozen=True)
class Compared:
    """The manifest's entry of a model, its `export`, and the cosines that the shipped handler measured."""

    entry: ModelEntry
    export: Export
    parity: Parity

    @property
    def required(self) -> float:
        """The cosine that its precision has to reach."""
        return MIN_COSINE[self.entry.precision]

    @property
    def inexact(self) -> tuple[str, ...]:
        """The towers that are not exact enough."""
        recipes = {"image": self.export.image.recipe, "text": self.export.text.recipe}
        least = {tower: least_cosine(self.entry.precision, recipe) for tower, recipe in recipes.items()}
        return tuple(tower for tower in TOWERS if self._lowest(tower) < least[tower])

    def passed(self, tried: list[Trial]) -> ModelEntry:
        """Return the entry with the measured cosines, the bound, and the recipes that did not pass."""
        parity = replace(self.parity, required_cosine=self.required)
        return replace(self.entry, export=replace(self.export, parity=parity, tried=tried))

    def trial(self, tower: str, recipe: str) -> Trial:
        """Return the manifest's record of a recipe that did not pass."""
        return Trial(tower, recipe, self._lowest(tower))

    def _lowest(self, tower: str) -> float:
        return {"image": self.parity.min_image_cosine, "text": self.parity.min_text_cosine}[tower]


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
            except _OtherIdsError:
                if not tokenizer_form.is_mapped(facts.tokenizer):
                    raise
                facts, unwritten = tokenizer_form.read_whole(facts, model.id, made, written), ()
                continue
            unwritten = found.inexact
            if not unwritten:
                return written.parent, gate.finished(found, tried, step)
            tried += [found.trial(tower, left[tower].pop(0).name) for tower in unwritten]
    raise ExportError(_not_exact(model, tried))


def number_of_steps(model: ModelSpec) -> int:
    """Return how many steps `export_model` has, however many recipes it tries."""
    in_8_bits = model.precision == "int8"  # then both towers are smoothed, a step each
    return 4 + 2 * in_8_bits + (in_8_bits and ENGINES[model.engine].bf16_images)


@dataclass(frozen=True)
class Comparison:
    """Compares a bundle of one model, at `trial`, with open_clip on `samples`, a file of open_clip's embeddings."""

    trial: Path
    spec: Spec
    model: ModelSpec
    sources: list[Fetched]
    facts: ExportedFacts
    samples: Path

    def best(self, recipes: Mapping[str, Recipe], tried: list[Trial]) -> Compared:
        """Compare with large JPEGs decoded as JPEG_DECODING says; in full if that is the reason for a failure."""
        found = self.compare(recipes, JPEG_DECODING[self.model.precision])
        if "image" not in found.inexact or found.entry.jpeg_decoding == "full":
            return found
        full = self.compare(recipes, "full")
        if "image" in full.inexact:
            return found
        tried.append(found.trial("image", f"{recipes['image'].name}, JPEGs at a reduced scale"))
        return full

    def compare(self, recipes: Mapping[str, Recipe], decoding: str) -> Compared:
        """Have the shipped handler embed the samples with the towers, which were written with these recipes."""
        towers = {tower: TowerRecipe(recipe.name, recipe.activation_group) for tower, recipe in recipes.items()}
        export = Export(**vars(self.facts.export), image=towers["image"], text=towers["text"])
        found, variants = self._measured(export, decoding)
        folder = self.trial / "models" / self.model.slug / self.model.engine
        exact = {tower: recipe for tower, recipe in recipes.items() if variants.get(tower) == NO_INTEGERS}
        with rounded(folder, exact) as changed:  # to measure what processors with VNNI compute
            return self._measured(export, decoding)[0] if changed else found

    def finished(self, found: Compared, tried: list[Trial], step: Callable[[str], None]) -> ModelEntry:
        """Return the entry of a model whose towers passed, with the cosine in bfloat16 if that may be used."""
        if ENGINES[self.model.engine].bf16_images and self.model.precision == "int8":
            step("comparing in bfloat16, where this processor has it")
            found = self._in_bf16(found, tried)
        return found.passed(tried)

    def _in_bf16(self, found: Compared, tried: list[Trial]) -> Compared:
        """Measure the image tower, which passed, in bfloat16; returns `found` with that cosine.

        `found` is returned unchanged if this processor has no bfloat16, or if it is not exact enough. The same if it
        loses much more than the recipe itself: on images unlike the samples, it might then lose more than the bound.
        """
        image = replace(found.export.image, bf16_cosine=1.0)  # any cosine, so that the handler uses bfloat16
        export = replace(found.export, image=image)
        measured, variants = self._measured(export, found.entry.jpeg_decoding)
        if variants.get("image") != BF16:
            return found
        lost = 1 - measured.parity.min_image_cosine
        if "image" in measured.inexact or lost > MOST_BF16_LOSS * (1 - found.parity.min_image_cosine):
            tried.append(measured.trial("image", f"{image.recipe}, {BF16}"))
            return found
        seen = replace(image, bf16_cosine=measured.parity.min_image_cosine)
        return replace(found, export=replace(found.export, image=seen))

    def _measured(self, export: Export, decoding: str) -> tuple[Compared, dict[str, str]]:
        entry = manifest.model_entry(self.model, self.sources, self.facts, export, decoding)
        manifest.write(self.trial, self.spec, [entry])
        parity, variants = _measure(self.trial, entry, self.samples)
        return Compared(entry, export, parity), variants


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


def _measure(trial: Path, entry: ModelEntry, samples: Path) -> tuple[Parity, dict[str, str]]:
    """Run the shipped handler, without a network, on a bundle of this one model, with samples that are not in it.

    Returns the cosines that it measured, and the variant in which this processor runs each tower.
    """
    check = ["layer.bundle.runtime_only", "handler.selfcheck", "--samples", str(samples.resolve())]
    run = sandbox.run(trial, ["-m", *check])
    try:
        [report] = json.loads(run.stdout)["models"]
    except ValueError as error:
        raise ExportError(f"the handler died on {entry.id}: {sandbox.reason(run)}") from error
    if report["error"]:
        raise ExportError(
            f"the handler cannot run {entry.id} on {entry.engine}: {report['error'].strip()}: "
            'set another engine for this model in models.toml; every one runs with engine = "torch"'
        )
    if not report["token_ids_equal"]:
        raise _OtherIdsError(
            f"the exported tokenizer of {entry.id} gives other token ids than open_clip's: "
            'set engine = "torch" for this model in models.toml, and report it'
        )
    parity = Parity(report["min_text_cosine"], report["min_image_cosine"], report["texts"], report["images"])
    return parity, report.get("variants", {})
