"""When the parity gate lets a tower run from its second graph, and what it records."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from layer.bundle.export_records import Export, GroupedGraph, Parity, TowerRecipe, Trial
from layer.engines import PER_TOKEN, STATIC, Engine, Recipe
from layer.errors import ExportError
from layer.export.comparison import Compared, Comparison, NotRunError
from layer.export.parity_gate import number_of_steps
from layer.export.variants import BF16, with_variants
from layer.spec import ModelSpec
from tests.unit.manifests import model

RECIPES = {"image": STATIC, "text": PER_TOKEN}
EXPORT = Export(
    causal_text=False,
    end_id=None,
    token_table=False,
    image=TowerRecipe(STATIC.name, STATIC.activation_group),
    text=TowerRecipe(PER_TOKEN.name, PER_TOKEN.activation_group),
)
FIRST = Parity(0.9995, 0.9997, texts=1, images=1)


class Gate(Comparison):
    """Towers that are files with a word, and cosines that a test states for the second graphs."""

    def __init__(self, trial: Path, reached: Parity, in_bf16: float | None) -> None:
        spec = ModelSpec("hf-hub:org/model", engine="openvino")
        super().__init__(trial, cast("Any", None), spec, [], cast("Any", None), Path())
        object.__setattr__(self, "reached", reached)
        object.__setattr__(self, "in_bf16", in_bf16)
        self.folder.mkdir(parents=True)
        for tower in RECIPES:
            (self.folder / f"{tower}.xml").write_text("first")

    def words(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.folder.iterdir())}

    def compare(self, recipes: Mapping[str, Recipe], decoding: str) -> Compared:
        assert decoding == "reduced"
        assert {tower: (self.folder / f"{tower}.xml").read_text() for tower in recipes} == {
            tower: "second" if recipe.group else "first" for tower, recipe in recipes.items()
        }
        towers = {tower: TowerRecipe(recipe.name, recipe.activation_group) for tower, recipe in recipes.items()}
        export = Export(causal_text=False, end_id=None, token_table=False, image=towers["image"], text=towers["text"])
        return self._compared(export, cast("Any", self).reached)

    def measured(self, export: Export, decoding: str) -> tuple[Compared, dict[str, str]]:
        assert export.image.grouped is None, "or the handler would measure the second graph in the place of the first"
        second = (self.folder / "image.xml").read_text() == "second"
        cosine = cast("Any", self).in_bf16
        if cosine is None:
            return self._compared(export, FIRST), {"image": "f32"}
        return self._compared(export, Parity(1.0, cosine if second else 0.9996, texts=1, images=1)), {"image": BF16}

    def _compared(self, export: Export, parity: Parity) -> Compared:
        entry = model("org/model", engine="openvino", precision="int8", jpeg_decoding="reduced", export=export)
        return Compared(entry, export, parity)


def finished(
    monkeypatch: pytest.MonkeyPatch, gate: Gate, sizes: Mapping[str, int]
) -> tuple[Export, list[tuple[str, str, float]]]:
    def write(fp32: Path, recipe: Recipe, tower: Path) -> int:
        assert (fp32.name, recipe) == (f"{tower.stem}.onnx", RECIPES[tower.stem])
        if size := sizes.get(tower.stem, 0):
            tower.with_name(f"{tower.stem}.grouped.xml").write_text("second")
        return size

    monkeypatch.setattr(Engine, "load_grouped_writer", lambda _: write)
    tried: list[Trial] = []
    graphs = {tower: Path(f"{tower}.onnx") for tower in RECIPES}
    found = with_variants(gate, gate._compared(EXPORT, FIRST), RECIPES, graphs, tried, lambda _: None)
    assert found.parity == FIRST, "of the first graphs, which every processor can run"
    return found.export, [(row.tower, row.recipe, row.min_cosine) for row in tried]


def test_second_graphs_that_are_exact_are_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate(tmp_path, Parity(0.9994, 0.99975, texts=1, images=1), 0.99965)
    export, tried = finished(monkeypatch, gate, {"image": 768, "text": 512})
    assert export.image == TowerRecipe(STATIC.name, 128, 0.9996, GroupedGraph(768, 0.99975, 0.99965))
    assert export.text == TowerRecipe(PER_TOKEN.name, 128, None, GroupedGraph(512, 0.9994))
    assert tried == []
    assert gate.words() == {
        "image.xml": "first",
        "image.grouped.xml": "second",
        "text.xml": "first",
        "text.grouped.xml": "second",
    }


def test_one_that_is_not_exact_enough_is_removed_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate(tmp_path, Parity(0.9994, 0.99929, texts=1, images=1), 0.9999)  # 0.9993 with fixed ranges
    export, tried = finished(monkeypatch, gate, {"image": 768, "text": 512})
    assert export.image == TowerRecipe(STATIC.name, 128, 0.9996)
    assert export.text.grouped == GroupedGraph(512, 0.9994)
    assert tried == [("image", "static int8, groups of 768", 0.99929)]
    assert "image.grouped.xml" not in gate.words()
    assert gate.words()["image.xml"] == "first"


def test_its_bfloat16_is_judged_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate(tmp_path, Parity(0.9994, 0.9998, texts=1, images=1), 0.9996)  # twice what it loses in fp32
    export, tried = finished(monkeypatch, gate, {"image": 768})
    assert export.image == TowerRecipe(STATIC.name, 128, 0.9996, GroupedGraph(768, 0.9998))
    assert tried == [("image", "static int8, bf16, groups of 768", 0.9996)]


def test_a_building_machine_without_bfloat16_records_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate(tmp_path, Parity(0.9994, 0.9998, texts=1, images=1), None)
    export, tried = finished(monkeypatch, gate, {"image": 768})
    assert export.image == TowerRecipe(STATIC.name, 128, None, GroupedGraph(768, 0.9998))
    assert tried == []


def test_the_first_graphs_are_back_where_the_comparison_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> Compared:
        raise ExportError("the handler died")

    gate = Gate(tmp_path, FIRST, None)
    monkeypatch.setattr(Gate, "compare", fail)
    with pytest.raises(ExportError, match="the handler died"):
        finished(monkeypatch, gate, {"image": 768})
    assert gate.words() == {"image.xml": "first", "image.grouped.xml": "second", "text.xml": "first"}


@pytest.mark.parametrize("dies_on", [("image",), ("text",), ("image", "text")])
def test_second_graphs_that_end_the_handler_are_left_out_of_the_bundle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], dies_on: tuple[str, ...]
) -> None:
    """The build failed, though the first graphs had passed."""
    compare = Gate.compare

    def dies(self: Gate, recipes: Mapping[str, Recipe], decoding: str) -> Compared:
        if any(recipes[tower].group for tower in dies_on):
            raise NotRunError("the handler died on org/model: signal 11", "signal\n11\x1b[2J")
        return compare(self, recipes, decoding)

    monkeypatch.setattr(Gate, "compare", dies)
    sizes = {"image": 768, "text": 512}
    gate = Gate(tmp_path, Parity(0.9994, 0.99975, texts=1, images=1), None)
    export, tried = finished(monkeypatch, gate, sizes)
    towers = {"image": export.image, "text": export.text}
    assert [tower for tower in sizes if towers[tower].grouped is None] == list(dies_on), "and the other one keeps its"
    assert tried == [(tower, f"{RECIPES[tower].name}, groups of {sizes[tower]}", -1) for tower in dies_on]
    kept = {f"{tower}.grouped.xml": "second" for tower in sizes if tower not in dies_on}
    assert gate.words() == {"image.xml": "first", "text.xml": "first", **kept}
    told = capsys.readouterr().err
    assert all(f"the {tower} tower of org/model is built without" in told for tower in dies_on)
    assert "signal 11\\x1b[2J" in told


def test_a_bfloat16_that_ends_the_handler_costs_no_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def dies(*_: object) -> tuple[Compared, dict[str, str]]:
        raise NotRunError("the handler cannot run org/model on openvino: refused", "refused")

    monkeypatch.setattr(Gate, "measured", dies)
    gate = Gate(tmp_path, Parity(0.9994, 0.99975, texts=1, images=1), None)
    export, tried = finished(monkeypatch, gate, {"image": 768})
    assert export.image == TowerRecipe(STATIC.name, 128, None, GroupedGraph(768, 0.99975))
    assert tried == [("image", "static int8, bf16", -1), ("image", "static int8, bf16, groups of 768", -1)]


def test_the_steps_are_as_many_as_are_announced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps: list[str] = []
    gate = Gate(tmp_path, FIRST, None)
    monkeypatch.setattr(Engine, "load_grouped_writer", lambda _: lambda *_: 0)
    with_variants(gate, gate._compared(EXPORT, FIRST), RECIPES, dict.fromkeys(RECIPES, Path()), [], steps.append)
    announced = {name: number_of_steps(replace(gate.model, engine=name)) for name in ("openvino", "onnx")}
    assert len(steps) == announced["openvino"] - announced["onnx"] == 2


def test_towers_that_need_none_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = Gate(tmp_path, Parity(0, 0, texts=1, images=1), None)
    export, tried = finished(monkeypatch, gate, {})
    assert (export.image.grouped, export.text.grouped, tried) == (None, None, [])
    assert gate.words() == {"image.xml": "first", "text.xml": "first"}
