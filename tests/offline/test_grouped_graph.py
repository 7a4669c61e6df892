"""A tower's second graph: the same weights, and activations that share a scale in groups."""

from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from handler.engines.host_kind import multiplies_by_avx512, saturates
from handler.engines.openvino_engine import Tower
from handler.engines.openvino_variants import variants_of
from layer.engines import PER_TOKEN, ROWS, STATIC, Recipe
from layer.export.grouped_graph import write_grouped
from layer.export.ir_file import grouped_path
from layer.export.openvino_ir import write_ir
from layer.export.static_ranges import write_static_ranges

TOKENS = 5
ALL_STATIC = Recipe("every product static", 128, 8, per_token=True, static_noise=float("inf"))


class Block(nn.Module):
    """The second half of a transformer's layer. The hidden layer of the first token is a hundred times as large."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow = (
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )
        self.gain = nn.Buffer(torch.ones(TOKENS, 1))
        self.gain[0] = 100
        self.same = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.gelu(self.wide(self.norm(x))) * self.gain
        inner: torch.Tensor = self.same(x + self.narrow(hidden) / self.gain)
        return inner


class Made:
    """A block's fp32 graph with measured ranges, and what torch computes of `x`."""

    def __init__(self, folder: Path, width: int) -> None:
        torch.manual_seed(0)
        self.fp32, block, x = folder / "image.onnx", Block(width).eval(), torch.randn(4, TOKENS, width)
        program = torch.onnx.export(
            block, (x,), dynamo=True, input_names=["x"], dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=32)},)
        )
        assert program is not None
        program.save(str(self.fp32))
        np.savez(folder / "inputs.npz", x=torch.randn(16, TOKENS, width).numpy())
        write_static_ranges(self.fp32, folder / "inputs.npz")
        self.x, self.expected = x.numpy(), block(x).detach().numpy()
        self.tower = folder / "image.xml"

    def write(self, recipe: Recipe) -> int:
        write_ir(self.fp32, recipe, self.tower)
        return write_grouped(self.fp32, recipe, self.tower)

    def run(self, recipe: Recipe, size: int, by_avx512: bool) -> tuple[str, NDArray[np.float32]]:
        facts = {"activation_group": recipe.activation_group, "grouped": {"activation_group": size, "min_cosine": 1.0}}
        variants = variants_of(facts, 1, has_bf16=False, inexact=saturates(), by_avx512=by_avx512)
        tower = Tower(openvino.Core(), self.tower, variants, lambda: None)
        found = tower({"x": self.x})
        return tower.variant, found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("block"), 256)


def worst_cosine(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    return float(((found * expected).sum(-1) / lengths).min())


@pytest.mark.parametrize("recipe", [PER_TOKEN, STATIC], ids=lambda recipe: str(recipe.name))
def test_both_graphs_compute_what_torch_does(made: Made, recipe: Recipe) -> None:
    size = made.write(recipe)
    first, second = (made.run(recipe, size, by_avx512) for by_avx512 in (False, True))
    assert size == 256
    assert worst_cosine(first[1], made.expected) > 0.9995
    assert worst_cosine(second[1], made.expected) > 0.9995
    if multiplies_by_avx512():
        assert (first[0], second[0]) == ("f32", "f32, in groups")
        assert not np.array_equal(first[1], second[1]), "or the second graph did not run"


@pytest.mark.parametrize("recipe", [PER_TOKEN, STATIC], ids=lambda recipe: str(recipe.name))
def test_the_first_graph_stays_and_no_matrix_is_there_twice(made: Made, recipe: Recipe) -> None:
    write_ir(made.fp32, recipe, made.tower)
    weights = made.tower.with_suffix(".bin")
    graph, before = made.tower.read_bytes(), weights.read_bytes()
    assert write_grouped(made.fp32, recipe, made.tower) == 256
    after = weights.read_bytes()

    assert made.tower.read_bytes() == graph
    assert after.startswith(before)
    assert len(after) - len(before) < 4096, "the smallest matrix has 65,536 bytes"
    assert sorted(path.name for path in made.tower.parent.glob("*image.*") if path.suffix in {".xml", ".bin"}) == [
        "image.bin",
        "image.grouped.xml",
        "image.xml",
    ]


@pytest.mark.parametrize("recipe", [ROWS, ALL_STATIC], ids=["rows already", "every range is fixed"])
def test_there_is_none_where_no_token_has_a_scale_of_its_own(made: Made, recipe: Recipe) -> None:
    grouped_path(made.tower).unlink(missing_ok=True)
    assert (made.write(recipe), grouped_path(made.tower).exists()) == (0, False)


@pytest.mark.parametrize(("width", "expected"), [(128, 0), (384, 384), (768, 768), (1024, 0)])
def test_it_is_for_the_widths_that_gain(tmp_path: Path, width: int, expected: int) -> None:
    assert Made(tmp_path, width).write(PER_TOKEN) == expected
