"""Compare exported towers with open_clip: the shipped handler embeds the samples, without a network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from layer.bundle import manifest, sandbox
from layer.bundle.export_records import Export, Parity, TowerRecipe, Trial
from layer.bundle.records import ExportedFacts, ModelEntry
from layer.engines import Recipe
from layer.errors import ExportError
from layer.export.bounds import MIN_COSINE, least_cosine
from layer.export.rounded_activations import rounded
from layer.sources.fetch import Fetched
from layer.spec import ModelSpec, Spec

TOWERS = ("image", "text")
NO_INTEGERS = "f32, no 8-bit products"  # a variant in the handler's report (handler/engines/openvino_variants.py)
JPEG_DECODING = {"fp32": "full", "int8": "reduced"}  # tried first, by precision


class OtherIdsError(ExportError):
    """The exported tokenizer gives other token ids than open_clip's."""


class NotRunError(ExportError):
    """The handler died on the towers, or their engine refuses them; `reason` is what it said."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


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
        return tuple(tower for tower in TOWERS if self.lowest(tower) < least[tower])

    def passed(self, tried: list[Trial]) -> ModelEntry:
        """Return the entry with the measured cosines, the bound, and the recipes that did not pass."""
        parity = replace(self.parity, required_cosine=self.required)
        return replace(self.entry, export=replace(self.export, parity=parity, tried=tried))

    def trial(self, tower: str, recipe: str) -> Trial:
        """Return the manifest's record of a recipe that did not pass."""
        return Trial(tower, recipe, self.lowest(tower))

    def lowest(self, tower: str) -> float:
        """Return the cosine of the tower's worst sample."""
        return {"image": self.parity.min_image_cosine, "text": self.parity.min_text_cosine}[tower]


@dataclass(frozen=True)
class Comparison:
    """Compares a bundle of one model, at `trial`, with open_clip on `samples`, a file of open_clip's embeddings."""

    trial: Path
    spec: Spec
    model: ModelSpec
    sources: list[Fetched]
    facts: ExportedFacts
    samples: Path

    @property
    def folder(self) -> Path:
        """Where the towers are."""
        return self.trial / "models" / self.model.slug / self.model.engine

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
        found, variants = self.measured(export, decoding)
        exact = {tower: recipe for tower, recipe in recipes.items() if variants.get(tower) == NO_INTEGERS}
        with rounded(self.folder, exact) as changed:  # to measure what processors with VNNI compute
            return self.measured(export, decoding)[0] if changed else found

    def measured(self, export: Export, decoding: str) -> tuple[Compared, dict[str, str]]:
        """Return what the handler measured of `export`, and the variant in which it ran each tower."""
        entry = manifest.model_entry(self.model, self.sources, self.facts, export, decoding)
        manifest.write(self.trial, self.spec, [entry])
        parity, variants = _measure(self.trial, entry, self.samples)
        return Compared(entry, export, parity), variants


def _measure(trial: Path, entry: ModelEntry, samples: Path) -> tuple[Parity, dict[str, str]]:
    """Run the shipped handler, without a network, on a bundle of this one model, with samples that are not in it.

    Returns the cosines that it measured, and the variant in which this processor runs each tower.
    """
    check = ["layer.bundle.runtime_only", "handler.selfcheck", "--samples", str(samples.resolve())]
    run = sandbox.run(trial, ["-m", *check])
    try:
        [report] = json.loads(run.stdout)["models"]
    except ValueError as error:
        reason = sandbox.reason(run)
        raise NotRunError(f"the handler died on {entry.id}: {reason}", reason) from error
    if report["error"]:
        reason = report["error"].strip()
        raise NotRunError(
            f"the handler cannot run {entry.id} on {entry.engine}: {reason}: "
            'set another engine for this model in models.toml; every one runs with engine = "torch"',
            reason,
        )
    if not report["token_ids_equal"]:
        raise OtherIdsError(
            f"the exported tokenizer of {entry.id} gives other token ids than open_clip's: "
            'set engine = "torch" for this model in models.toml, and report it'
        )
    parity = Parity(report["min_text_cosine"], report["min_image_cosine"], report["texts"], report["images"])
    return parity, report.get("variants", {})
