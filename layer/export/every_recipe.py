"""Measure how exact each recipe of an engine is on one model, including those that the parity gate would not reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from layer.bundle import manifest
from layer.bundle.records import ExportedFacts
from layer.export import tokenizer_form
from layer.export.bounds import least_cosine
from layer.export.comparison import TOWERS, Comparison
from layer.export.export_cache import exported
from layer.export.parity_gate import fp32_graphs, recipes_of, write_tower
from layer.sources.fetch import Fetched
from layer.spec import ModelSpec, Spec


@dataclass(frozen=True)
class Exactness:
    """The least cosine to open_clip of each tower with one recipe, and the cosine that it has to reach."""

    recipe: str
    image: float
    text: float
    image_required: float
    text_required: float


def every_recipe(
    model: ModelSpec, spec: Spec, sources: list[Fetched], cache: Path, scratch: Path
) -> Iterator[Exactness]:
    """Write both towers with each recipe, the fastest first, and have the shipped handler compare them with open_clip.

    For a recipe that is not for texts, the text tower is written with the first of its own recipes. `scratch` keeps the
    files of the last recipe. Raises ExportError if the handler cannot run the model.
    """
    made = exported(model, sources, cache, None)
    facts = manifest.parse(ExportedFacts, (made / "facts.json").read_text())
    graphs = fp32_graphs(made, model.precision, scratch / "smoothed", lambda _: None)
    trial = scratch / "trial"
    folder = trial / "models" / model.slug / model.engine
    tokenizer_form.write(made, folder, facts.tokenizer)
    comparison = Comparison(trial, spec, model, sources, facts, made / "samples.json")
    recipes = {tower: recipes_of(model, tower, facts.export) for tower in TOWERS}
    for recipe in recipes["image"]:
        taken = {tower: recipe if recipe in recipes[tower] else recipes[tower][0] for tower in TOWERS}
        for tower in TOWERS:
            write_tower(made, graphs[tower], model.engine, tower, taken[tower], folder)
        found = comparison.compare(taken, "full").parity
        required = [least_cosine(model.precision, taken[tower].name) for tower in ("image", "text")]
        yield Exactness(recipe.name, found.min_image_cosine, found.min_text_cosine, *required)
