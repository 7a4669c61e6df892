"""Products in 8 bits on both sides, beside torch's own: on a block with a channel that outgrows all others."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from handler.engines import onnx_engine
from layer.engines import ENGINES, Recipe
from layer.export.openvino_ir import write_ir
from layer.export.per_token_int8 import per_token_matmul, write_saturation_safe, write_vnni_probe
from layer.export.smoothquant import write_smoothed

SHAPE = (2, 7, 64)  # batch, tokens, channels
FAR = 200


class Block(nn.Module):
    """The second half of a transformer's layer. What channel 3 reaches too far, its weights are too small."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow = nn.LayerNorm(64), nn.Linear(64, 256), nn.Linear(256, 64)
        with torch.no_grad():
            self.norm.weight[3] *= FAR
            self.wide.weight[:, 3] /= FAR

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner: torch.Tensor = self.narrow(nn.functional.gelu(self.wide(self.norm(x))))
        return inner


class Placed(nn.Module):
    """Tokens with a bias that an inner network computes from their places, as timm's relative positions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.inner = nn.Linear(64, 64), nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
        self.register_buffer("places", torch.rand(SHAPE[1], 64) * 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        placed: torch.Tensor = self.layer(x + self.inner(self.places))
        return placed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fp32.onnx; smoothed.onnx from it; plain.onnx and fast.onnx in 8 bits, each also wide; x.npy and expected.npy."""
    folder = tmp_path_factory.mktemp("block")
    torch.manual_seed(0)
    block, x = Block().eval(), torch.randn(SHAPE)
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.onnx.export(block, (x,), dynamo=True, input_names=["x"], dynamic_shapes=({0: batch},))
    assert program is not None
    program.save(str(folder / "fp32.onnx"))
    np.savez(folder / "inputs.npz", x=torch.randn(SHAPE).numpy())
    write_smoothed(folder / "fp32.onnx", folder / "inputs.npz", folder / "smoothed.onnx")
    for source, target in (("fp32", "plain"), ("smoothed", "fast")):
        model = onnx.load(folder / f"{source}.onnx")
        per_token_matmul(model, {})
        onnx.save(model, folder / f"{target}.onnx")
        write_saturation_safe(folder / f"{target}.onnx", folder / f"{target}.wide.onnx")
    write_vnni_probe(folder / "probe.onnx")
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "expected.npy", block(x).detach().numpy())
    return folder


def run(folder: Path, name: str) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(None, {"x": np.load(folder / "x.npy")})[0]
    return found


def run_in_8_bits(folder: Path, name: str) -> NDArray[np.float32]:
    """Run the graph that the handler would take on this processor."""
    return run(folder, name if onnx_engine.multiplies_exactly(folder / "probe.onnx") else f"{name}.wide")


def worst_cosine(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    return float(((found * expected).sum(-1) / lengths).min())


def test_smoothing_changes_nothing_of_what_is_computed(folder: Path) -> None:
    assert run(folder, "smoothed") == pytest.approx(np.load(folder / "expected.npy"), abs=1e-5)


def test_smoothing_costs_no_operation_behind_a_normalization(folder: Path) -> None:
    before, after = (len(onnx.load(folder / f"{name}.onnx").graph.node) for name in ("fp32", "smoothed"))
    assert after - before == 1, "only the product behind the activation function has its own division"


def test_one_far_channel_spoils_8_bits_until_it_is_smoothed(folder: Path) -> None:
    expected = np.load(folder / "expected.npy")
    assert worst_cosine(run_in_8_bits(folder, "plain"), expected) < 0.99
    assert worst_cosine(run_in_8_bits(folder, "fast"), expected) > 0.9995


def test_the_wide_graph_computes_the_same_by_products_of_unsigned_bytes(folder: Path) -> None:
    """Which no x86 processor adds in 16 bits. The same weights: their file, or their bytes, are the fast graph's."""
    assert worst_cosine(run(folder, "fast.wide"), np.load(folder / "expected.npy")) > 0.9995

    fast, wide = (onnx.load(folder / f"{name}.onnx").graph for name in ("fast", "fast.wide"))
    products = [node for node in wide.node if node.op_type == "MatMulIntegerToFloat"]
    flipped = {node.output[0]: node.input[0] for node in wide.node if node.op_type == "BitwiseXor"}
    weights = {tensor.name: tensor for tensor in wide.initializer}
    assert len(products) == len(flipped) == 2
    for node in products:
        matrix = weights[flipped[node.input[1]]]
        assert matrix.data_type == weights[node.input[5]].data_type == onnx.TensorProto.UINT8
        assert onnx.numpy_helper.to_array(weights[node.input[5]]) == 128
        [signed] = [tensor for tensor in fast.initializer if tensor.name == matrix.name]
        assert signed.raw_data == matrix.raw_data


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("outputs", [8, 64])
def test_the_largest_sums_are_exact_in_a_wide_graph(tmp_path: Path, sign: int, outputs: int) -> None:
    """On x86 without VNNI the fast graph gives half of each sum."""
    matrix = onnx.numpy_helper.from_array(np.full((512, outputs), 127 * sign, np.int8), "matrix")
    one = onnx.numpy_helper.from_array(np.asarray(np.float32(1)), "one")
    scales = onnx.numpy_helper.from_array(np.ones(outputs, np.float32), "scales")
    zero = onnx.numpy_helper.from_array(np.asarray(np.uint8(128)), "zero")
    bias = onnx.numpy_helper.from_array(np.arange(outputs, dtype=np.float32), "bias")
    make = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node(
        "MatMulIntegerToFloat", ["x", "matrix", "one", "scales", "zero", "", "bias"], ["y"], domain="com.microsoft"
    )
    ports = [make("x", onnx.TensorProto.UINT8, [2, 512])], [make("y", onnx.TensorProto.FLOAT, [2, outputs])]
    graph = onnx.helper.make_graph([node], "largest", *ports, [matrix, one, scales, zero, bias])
    sets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("com.microsoft", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=sets, ir_version=10), tmp_path / "fast.onnx")
    write_saturation_safe(tmp_path / "fast.onnx", tmp_path / "image.wide.onnx")

    numbers = np.array([[255], [0]], np.uint8).repeat(512, axis=1)
    [found] = onnx_engine.session(tmp_path / "image.wide.onnx", 1).run(None, {"x": numbers})
    expected = (numbers.astype(np.int64) - 128) @ np.full((512, outputs), 127 * sign) + np.arange(outputs)
    assert found == pytest.approx(expected, abs=0)


def test_a_processor_that_saturates_gets_the_wide_graphs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("image", "text"):
        (tmp_path / f"{name}.onnx").touch()
    (tmp_path / "image.wide.onnx").touch()
    write_vnni_probe(tmp_path / "probe.onnx")
    # A processor saturates or not, and ONNX Runtime cannot be told to: the sums are made up.
    monkeypatch.setattr(onnx_engine, "session", lambda *_: Saturating(np.iinfo(np.int32).max))
    assert [path.name for path in onnx_engine.graphs(tmp_path)] == ["image.onnx", "text.onnx"]

    monkeypatch.setattr(onnx_engine, "session", lambda *_: Saturating(np.iinfo(np.int16).max))
    assert [path.name for path in onnx_engine.graphs(tmp_path)] == ["image.wide.onnx", "text.onnx"]
    assert "8-bit products saturate" in caplog.text


class Saturating:
    """Answers as a processor that cuts each sum of two products off: x86 without VNNI does so at 32,767."""

    def __init__(self, most: int) -> None:
        self.most = most

    def run(self, _: object, feed: dict[str, NDArray[np.uint8]]) -> list[NDArray[np.int32]]:
        pairs = (feed["numbers"].astype(np.int32) * 127).reshape(2, 4, 2).sum(axis=2)
        return [np.minimum(pairs, self.most).sum(axis=1, keepdims=True).repeat(8, axis=1)]


UNMEASURED = [recipe for recipe in ENGINES["openvino"].recipes["int8"] if not recipe.static_noise]


@pytest.mark.parametrize("recipe", UNMEASURED[:2], ids=lambda recipe: recipe.name)
def test_openvino_takes_a_product_that_hangs_on_no_input(tmp_path: Path, recipe: Recipe) -> None:
    torch.manual_seed(0)
    placed, x = Placed().eval(), torch.randn(SHAPE)
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.onnx.export(placed, (x,), dynamo=True, optimize=False, dynamic_shapes=({0: batch},))
    assert program is not None
    program.save(str(tmp_path / "fp32.onnx"))

    write_ir(tmp_path / "fp32.onnx", recipe, tmp_path / "tower.xml")

    # Without products of integers, which not every processor has exactly: the numbers are what the graph says.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}
    run = openvino.Core().compile_model(tmp_path / "tower.xml", "CPU", settings)
    assert worst_cosine(run(x.numpy())[0], placed(x).detach().numpy()) > 0.999
