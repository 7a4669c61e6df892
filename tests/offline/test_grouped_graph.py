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
from layer.export.static_ranges import read_static_ranges, write_static_ranges

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


def test_what_has_a_fixed_range_keeps_it(made: Made) -> None:
    made.write(STATIC)
    fixed = read_static_ranges(made.fp32, STATIC)
    second = openvino.Core().read_model(grouped_path(made.tower), made.tower.with_suffix(".bin"))
    kinds = [node.get_type_name() for node in second.get_ordered_ops()]
    assert 0 < len(fixed) < 3
    assert kinds.count("FakeQuantize") == len(fixed) + 1, "one for each fixed range, one in the check for VNNI"


def tower(made: Made) -> Tower:
    facts = {"activation_group": 128, "grouped": {"activation_group": made.write(PER_TOKEN), "min_cosine": 1.0}}
    variants = variants_of(facts, 1, has_bf16=False, inexact=saturates(), by_avx512=True)
    return Tower(openvino.Core(), made.tower, variants, lambda: None)


def test_an_input_that_no_graph_takes_changes_nothing(made: Made) -> None:
    found = tower(made)
    before, expected = found.variant, found({"x": made.x})
    with pytest.raises(RuntimeError):
        found({"other": made.x})
    assert found.variant == before
    assert np.array_equal(found({"x": made.x}), expected)


def test_a_second_graph_that_cannot_be_read_is_named_and_the_first_runs(
    made: Made, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    size = made.write(PER_TOKEN)
    monkeypatch.setattr(made, "write", lambda _: size)
    grouped_path(made.tower).write_text("damaged")
    found = tower(made)
    assert found.variant == ("f32, no 8-bit products" if saturates() else "f32")
    assert worst_cosine(found({"x": made.x}), made.expected) > 0.9995
    assert saturates() or "image.grouped.xml: this processor refuses f32, in groups" in caplog.text


@pytest.mark.parametrize("recipe", [ROWS, ALL_STATIC], ids=["rows already", "every range is fixed"])
def test_there_is_none_where_no_token_has_a_scale_of_its_own(made: Made, recipe: Recipe) -> None:
    grouped_path(made.tower).unlink(missing_ok=True)
    assert (made.write(recipe), grouped_path(made.tower).exists()) == (0, False)


@pytest.mark.parametrize(("width", "expected"), [(128, 0), (384, 384), (392, 0), (768, 768), (1024, 0)])
def test_it_is_for_the_widths_that_gain(tmp_path: Path, width: int, expected: int) -> None:
    assert Made(tmp_path, width).write(PER_TOKEN) == expected


class Stages(nn.Module):
    """Two stages of different widths, as in ConvNeXt and Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Linear(256, 512), nn.ModuleList(nn.Linear(512, 512) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.narrow(x)
        for layer in self.wide:
            x = layer(nn.functional.gelu(x))
        return x


def test_there_is_none_where_a_row_is_shorter_than_a_group(tmp_path: Path) -> None:
    program = torch.onnx.export(Stages().eval(), (torch.randn(2, TOKENS, 256),), dynamo=True, input_names=["x"])
    assert program is not None
    program.save(str(tmp_path / "image.onnx"))
    write_ir(tmp_path / "image.onnx", PER_TOKEN, tmp_path / "image.xml")
    assert write_grouped(tmp_path / "image.onnx", PER_TOKEN, tmp_path / "image.xml") == 0
