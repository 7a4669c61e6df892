"""A new engine takes a record, a writer, a class, and a file of requirements: no branch anywhere knows its name."""

import ast
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import handler.engines
import layer.engines
from handler.engines import create_engine
from handler.settings import Settings
from layer.bundle import manifest
from layer.bundle.export_records import Export, Parity, TowerRecipe
from layer.engines import FP32, Engine, Recipe
from layer.export import parity_gate
from layer.registry import lambda_limits
from layer.spec import CHOICES, read_spec
from tests.unit.manifests import manifest_of, model

ROOT = Path(__file__).parents[2]


class ToyEngine:
    """Gives every text and image the vector of ones."""

    def __init__(self, entry: Any, manifest: Any, settings: Settings) -> None:
        self.dimensions = entry.embed_dim

    def encode_images(self, pixels: Any) -> Any:
        return np.ones((len(pixels), self.dimensions), np.float32)


def write_toy(fp32: Path, recipe: Recipe, target: Path, *, per_token: bool = False) -> None:
    target.write_text(f"toy {recipe.name}")


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("toy")
    vars(module).update(ToyEngine=ToyEngine, write_toy=write_toy)
    monkeypatch.setitem(sys.modules, "toy", module)
    record = Engine({"fp32": (FP32,)}, code_bytes=1_000_000, writer="toy:write_toy", suffix="toy")
    monkeypatch.setitem(layer.engines.ENGINES, "toy", record)
    monkeypatch.setitem(CHOICES, "engine", ("auto", *layer.engines.ENGINES))
    monkeypatch.setitem(handler.engines.ENGINES, "toy", "toy:ToyEngine")


@pytest.mark.usefixtures("_toy")
def test_models_toml_takes_it_with_the_precision_that_it_has(tmp_path: Path) -> None:
    spec = tmp_path / "models.toml"
    spec.write_text('[[model]]\nname = "ViT-B-32"\npretrained = "openai"\nengine = "toy"\n')

    [model] = read_spec(spec).models

    assert (model.engine, model.precision) == ("toy", "fp32")


@pytest.mark.usefixtures("_toy")
def test_its_towers_are_written_by_its_writer(tmp_path: Path) -> None:
    parity_gate.write_tower(tmp_path, tmp_path / "image.onnx", "toy", "image", FP32, tmp_path / "out")

    assert (tmp_path / "out" / "image.toy").read_text() == "toy fp32"


@pytest.mark.usefixtures("_toy")
def test_its_code_counts_against_the_limit_of_a_layer() -> None:
    assert lambda_limits.room("layer", ["toy"]) == 262_144_000 - 1_000_000


@pytest.mark.usefixtures("_toy")
def test_its_manifest_is_read_and_is_as_the_published_schema_says(tmp_path: Path) -> None:
    tower = TowerRecipe("fp32", 0)
    parity = Parity(1.0, 1.0, texts=1, images=1, required_cosine=0.99999)
    export = Export(causal_text=True, end_id=None, token_table=False, parity=parity, image=tower, text=tower)
    manifest.write_facts(tmp_path, manifest_of([model("org/model", engine="toy", precision="fp32", export=export)], []))
    schema = json.loads((ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    written = json.loads((tmp_path / manifest.NAME).read_text(encoding="utf-8"))

    assert manifest.read(tmp_path).models[0].engine == "toy"
    assert [error.message for error in Draft202012Validator(schema).iter_errors(written)] == []


NAMES = {*layer.engines.ENGINES, *lambda_limits.SHAPES}
COMPARED = ("engine", "shape", "package")  # what a scattered branch would compare with such a name


@pytest.mark.parametrize("package", ["layer", "handler", "infra"])
def test_no_branch_compares_the_name_of_an_engine_or_of_a_package_shape(package: str) -> None:
    found = []
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Compare):
                continue
            values = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)} & NAMES
            if values and any(word in ast.unparse(node) for word in COMPARED):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


@pytest.mark.usefixtures("_toy")
def test_the_handler_loads_its_class() -> None:
    entry = SimpleNamespace(id="org/model", engine="toy", embed_dim=3)

    engine = create_engine(cast("Any", entry), cast("Any", None), Settings())

    assert engine.encode_images(np.zeros((2, 3, 8, 8), np.float32)).tolist() == [[1, 1, 1], [1, 1, 1]]
