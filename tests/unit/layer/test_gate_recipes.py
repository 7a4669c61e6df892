"""Which recipes the parity gate tries, one after another, and what it records of those that it refused."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from layer.bundle import manifest
from layer.bundle.export_records import Export, Parity, TowerFacts
from layer.bundle.records import ModelEntry
from layer.engines import Recipe
from layer.errors import ExportError
from layer.export import parity_gate, tokenizer_form
from layer.export.comparison import Compared, Comparison
from layer.export.parity_gate import export_model
from layer.spec import ModelSpec, Spec
from tests.unit import manifests

FACTS = TowerFacts(causal_text=False, end_id=None, token_table=False)
STATIC, TOKENS = "static int8", "per-token int8"
FEWER, FEWEST = "static int8 for fewer products", "static int8 for the fewest products"
BLOCKS = "8-bit weights in blocks of 128, 8-bit activations"
Cosines = Mapping[tuple[str, ...], float]  # of a recipe in reduced decoding, or of a recipe and "full"


class Gate:
    """`export_model` with towers that are names, and cosines that a test states; 0.9999 where it states none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, images: Cosines, texts: Cosines) -> None:
        self.root, self.images, self.texts = root, images, texts
        self.written: list[tuple[str, str]] = []
        self.measured: Counter[tuple[str, str, str]] = Counter()
        (root / "facts.json").write_text("{}")
        facts = SimpleNamespace(export=FACTS, tokenizer=None)
        monkeypatch.setattr(parity_gate, "exported", lambda *_: root)
        monkeypatch.setattr(manifest, "parse", lambda *_: facts)
        monkeypatch.setattr(tokenizer_form, "write", lambda *_: None)
        monkeypatch.setattr(parity_gate, "fp32_graphs", lambda *_: {tower: root / tower for tower in ("image", "text")})
        monkeypatch.setattr(parity_gate, "write_tower", self._write)
        monkeypatch.setattr(Comparison, "measured", self._measure)

    def run(self, precision: str = "int8") -> ModelEntry:
        model = ModelSpec("hf-hub:org/model", engine="onnx", precision=precision)
        self.precision = precision
        return export_model(model, cast("Spec", None), [], self.root, self.root, None)[1]

    def _write(self, made: Path, source: Path, engine: str, tower: str, recipe: Recipe, folder: Path) -> None:
        assert source == self.root / tower, "or it would be the other tower"
        assert folder == self.root / "trial/models/org--model/onnx", "where the handler of the comparison looks"
        self.written.append((tower, recipe.name))

    def _measure(self, export: Export, decoding: str) -> tuple[Compared, dict[str, str]]:
        image, text = export.image.recipe, export.text.recipe
        self.measured[image, text, decoding] += 1
        reached = self.images.get((image,), 0.9999)
        if decoding == "full":
            reached = self.images.get((image, "full"), reached)
        entry = manifests.model("org/model", precision=self.precision, jpeg_decoding=decoding, export=export)
        return Compared(entry, export, Parity(self.texts.get((text,), 0.9999), reached, 1, 1)), {}


def told(entry: ModelEntry) -> list[tuple[str, str, float]]:
    assert entry.export is not None
    return [(trial.tower, trial.recipe, trial.min_cosine) for trial in entry.export.tried]


def test_each_tower_has_its_first_recipe_that_is_exact_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate(monkeypatch, tmp_path, {(STATIC,): 0.9990, (FEWER,): 0.9992, (FEWEST,): 0.9991}, {(TOKENS,): 0.9989})
    entry = gate.run()
    assert entry.export
    assert (entry.export.image.recipe, entry.export.text.recipe) == (TOKENS, BLOCKS)
    # A tower that passed is not written again.
    assert gate.written == [
        ("image", STATIC),
        ("text", TOKENS),
        ("image", FEWER),
        ("text", BLOCKS),
        ("image", FEWEST),
        ("image", TOKENS),
    ]
    refused = [("image", STATIC, 0.9990), ("text", TOKENS, 0.9989), ("image", FEWER, 0.9992), ("image", FEWEST, 0.9991)]
    assert told(entry) == refused
    assert entry.jpeg_decoding == "reduced"
    assert entry.export.parity == Parity(0.9999, 0.9999, texts=1, images=1, required_cosine=0.999)


def test_jpegs_are_decoded_in_full_where_their_scale_is_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = Gate(monkeypatch, tmp_path, {(STATIC,): 0.9990, (STATIC, "full"): 0.9996}, {})
    entry = gate.run()
    assert entry.export
    assert (entry.jpeg_decoding, entry.export.image.recipe) == ("full", STATIC)
    assert entry.export.parity
    assert entry.export.parity.min_image_cosine == 0.9996
    assert told(entry) == [("image", f"{STATIC}, JPEGs at a reduced scale", 0.9990)]


def test_in_fp32_jpegs_are_decoded_in_full_as_open_clip_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate(monkeypatch, tmp_path, {("fp32",): 0.999999}, {("fp32",): 0.999999})
    entry = gate.run("fp32")
    assert (entry.jpeg_decoding, gate.measured) == ("full", {("fp32", "fp32", "full"): 1})


def test_a_tower_without_an_exact_recipe_ends_the_build_with_every_cosine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = Gate(monkeypatch, tmp_path, {("fp32",): 0.99998}, {("fp32",): 0.999999})
    with pytest.raises(ExportError, match=r"of 0\.99999 required") as refused:
        gate.run("fp32")
    assert "image tower, fp32: 0.999980" in str(refused.value)
    assert "text tower" not in str(refused.value)
    assert gate.measured.total() == 1
