"""Products in 8 bits with fixed ranges, beside torch's own: on attention and the layer behind it."""

from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from handler.engines.openvino_variants import variants_of
from layer.bundle.export_records import TowerFacts
from layer.engines import FEWER_STATIC, FEWEST_STATIC, PER_TOKEN, STATIC, Recipe
from layer.export.attention import export_friendly_attention
from layer.export.comparison import NO_INTEGERS
from layer.export.onnx_int8 import write_runtime_graph
from layer.export.openvino_ir import write_ir
from layer.export.parity_gate import recipes_of
from layer.export.static_ranges import read_static_ranges, write_static_ranges
from layer.export.variants import BF16
from layer.spec import ModelSpec
from tests.offline.processor import GRAPH, by_openvino

TOKENS, CHANNELS = 7, 64
CALIBRATED, SEEN = 24, 8
NONE = Recipe("none", 128, 8, per_token=True, static_noise=0.001)


class Layer(nn.Module):
    """One of a vision transformer. With `spiky`, one token of each input is a thousand times as large in its middle."""

    def __init__(self, spiky: bool) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.attention = nn.MultiheadAttention(CHANNELS, 4, batch_first=True)
        self.wide, self.narrow = nn.Linear(CHANNELS, 256), nn.Linear(256, CHANNELS)
        self.register_buffer("gain", torch.ones(TOKENS, 1))
        if spiky:
            cast("torch.Tensor", self.gain)[0] = 1000

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.first(x)
        x = x + self.attention(normed, normed, normed, need_weights=False)[0]
        hidden = nn.functional.gelu(self.wide(self.second(x))) * cast("torch.Tensor", self.gain)
        inner: torch.Tensor = x + self.narrow(hidden) / cast("torch.Tensor", self.gain)
        return inner


class Made:
    """A layer, its graph with measured ranges at `graph`, and `x` that was not among what was measured."""

    def __init__(self, folder: Path, spiky: bool) -> None:
        torch.manual_seed(0)
        self.graph, layer = folder / "smoothed.onnx", Layer(spiky).eval()
        self.x = torch.randn(SEEN, TOKENS, CHANNELS).numpy()
        batch = torch.export.Dim("batch", min=1, max=32)
        with export_friendly_attention():
            program = torch.onnx.export(
                layer, (torch.from_numpy(self.x),), dynamo=True, input_names=["x"], dynamic_shapes=({0: batch},)
            )
        assert program is not None
        program.save(str(self.graph))
        inputs = folder / "inputs.npz"
        np.savez(inputs, x=torch.randn(CALIBRATED, TOKENS, CHANNELS).numpy())
        write_static_ranges(self.graph, inputs)
        with torch.no_grad():
            self.expected = layer(torch.from_numpy(self.x)).numpy()

    def by_onnx(self, recipe: Recipe, file: str = GRAPH) -> NDArray[np.float32]:
        folder = self.graph.parent / "onnx"
        folder.mkdir(exist_ok=True)
        write_runtime_graph(self.graph, recipe, folder / "image.onnx")
        session = onnxruntime.InferenceSession(str(folder / file), providers=["CPUExecutionProvider"])
        found: NDArray[np.float32] = session.run(None, {"x": self.x})[0]
        return found

    def by_openvino(self, recipe: Recipe) -> NDArray[np.float32]:
        write_ir(self.graph, recipe, self.graph.parent / "tower.xml")
        return by_openvino(self.graph.parent / "tower.xml", recipe, self.x)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("even"), spiky=False)


@pytest.fixture(scope="module")
def spiky(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("spiky"), spiky=True)


def worst_cosine(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    return float(((found * expected).sum(-1) / lengths).min())


def operations(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]


def test_both_engines_compute_what_torch_does(made: Made) -> None:
    assert worst_cosine(made.by_onnx(STATIC), made.expected) > 0.9995
    assert worst_cosine(made.by_openvino(STATIC), made.expected) > 0.9995


def test_nothing_is_measured_at_run_time_where_ranges_are_fixed(made: Made) -> None:
    made.by_onnx(STATIC)
    fixed = operations(made.graph.parent / "onnx" / "image.onnx")
    made.by_onnx(NONE)
    each_token = operations(made.graph.parent / "onnx" / "image.onnx")

    assert fixed.count("MatMulIntegerToFloat") == each_token.count("MatMulIntegerToFloat") == 4
    assert (fixed.count("ReduceMax"), each_token.count("ReduceMax")) == (0, 4)
    assert fixed.count("Add") == 2, "those of the residual stream alone: products add their biases themselves"


def test_the_saturation_safe_graph_computes_the_same(made: Made) -> None:
    found = made.by_onnx(STATIC, "image.wide.onnx")
    assert found == pytest.approx(made.by_onnx(STATIC), abs=1e-4)
    assert worst_cosine(found, made.expected) > 0.9995


def test_a_product_in_which_one_token_outgrows_the_others_keeps_a_scale_for_each(spiky: Made) -> None:
    names = set(read_static_ranges(spiky.graph, Recipe("all", static_noise=float("inf"))))
    taken = set(read_static_ranges(spiky.graph, STATIC))

    assert (len(names), len(taken)) == (4, 3)
    assert worst_cosine(spiky.by_onnx(STATIC), spiky.expected) > 0.9995
    assert worst_cosine(spiky.by_openvino(STATIC), spiky.expected) > 0.9995


def test_the_noise_is_that_of_rounding(made: Made) -> None:
    """The noise by the formula of the module against rounding each number of one product's activations."""
    name, reach = next(iter(read_static_ranges(made.graph, Recipe("all", static_noise=float("inf"))).items()))
    model = onnx.load(made.graph)
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = np.load(made.graph.parent / "inputs.npz")["x"]
    tokens = session.run([name], {"x": inputs})[0].reshape(-1, CHANNELS)

    def noise(step: NDArray[np.float32] | float) -> float:
        rounded = np.rint(tokens / step) * step
        return float((np.square(rounded - tokens).sum(1) / np.square(tokens).sum(1)).mean())

    measured = noise(reach / 127) / noise(np.abs(tokens).max(axis=1, keepdims=True) / 127)
    assert name not in read_static_ranges(made.graph, Recipe("quieter", static_noise=measured * 0.8))
    assert name in read_static_ranges(made.graph, Recipe("louder", static_noise=measured * 1.25))


def facts(causal_text: bool) -> TowerFacts:
    return TowerFacts(causal_text=causal_text, end_id=None, token_table=False)


def test_texts_have_no_fixed_ranges() -> None:
    fewest = {"onnx": [FEWEST_STATIC.name], "openvino": []}
    for engine, more in fewest.items():
        model = ModelSpec("ViT-B-32", "openai", engine=engine)
        found = [recipe.name for recipe in recipes_of(model, "image", facts(True))]
        first = [STATIC.name, FEWER_STATIC.name, *more, PER_TOKEN.name]
        assert found[: len(first)] == first
        for causal in (True, False):
            assert not any(recipe.static_noise for recipe in recipes_of(model, "text", facts(causal)))


def test_bfloat16_is_for_processors_that_have_it_and_towers_that_were_measured_so() -> None:
    recipe = {"recipe": STATIC.name, "activation_group": 128, "bf16_cosine": 0.9995}

    def first(told: dict[str, object], has_bf16: bool) -> str:
        return variants_of(told, 2, has_bf16)[0][0]

    assert first(recipe, has_bf16=True) == BF16
    assert first(recipe, has_bf16=False) == "f32"
    assert first(recipe | {"bf16_cosine": None}, has_bf16=True) == "f32"
    assert first({"recipe": "of an earlier builder", "activation_group": 0}, has_bf16=True) == "f32"


def test_products_of_integers_are_not_tried_where_they_are_known_to_saturate() -> None:
    recipe = {"recipe": STATIC.name, "activation_group": 128}
    names = [variant.name for variant in variants_of(recipe, 2, has_bf16=False, inexact=True)]
    assert names == [NO_INTEGERS, "f32, plain settings"]
    without = variants_of({"recipe": "fp32", "activation_group": 0}, 2, has_bf16=False, inexact=True)
    assert without[0].name == "f32", "a tower that has none"
