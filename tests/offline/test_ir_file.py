"""An OpenVINO graph as it is written: its matrices apart from its small constants, and computing what it did."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from layer.engines import FP32
from layer.export.openvino_ir import write_ir

LAYERS, WIDTH = 3, 256
RNG = np.random.default_rng(0)
MATRICES = [RNG.standard_normal((WIDTH, WIDTH), np.float32) / 16 for _ in range(LAYERS)]
BIASES = [RNG.standard_normal(WIDTH, np.float32) for _ in range(LAYERS)]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .xml of x -> x @ matrix + bias, thrice, halved."""
    folder = tmp_path_factory.mktemp("graph")
    nodes, weights, entering = [], [], "x"
    for layer, (matrix, bias) in enumerate(zip(MATRICES, BIASES, strict=True)):
        weights += [numpy_helper.from_array(matrix, f"m{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        weights.append(numpy_helper.from_array(np.float32(0.5), f"half{layer}"))
        nodes.append(helper.make_node("MatMul", [entering, f"m{layer}"], [f"product{layer}"]))
        nodes.append(helper.make_node("Add", [f"product{layer}", f"b{layer}"], [f"sum{layer}"]))
        nodes.append(helper.make_node("Mul", [f"sum{layer}", f"half{layer}"], [f"out{layer}"]))
        entering = f"out{layer}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in ("x", entering)]
    model = helper.make_model(helper.make_graph(nodes, "layers", ends[:1], ends[1:], weights))
    model.opset_import[0].version = 18
    model.ir_version = 9
    onnx.save(model, folder / "graph.onnx")
    write_ir(folder / "graph.onnx", FP32, folder / "graph.xml")
    return folder / "graph.xml"


def constants(graph: Path) -> list[tuple[int, int]]:
    """Return the (offset, size) of each."""
    return [(int(a), int(b)) for a, b in re.findall(r'offset="(\d+)" size="(\d+)"', graph.read_text())]


def test_a_graph_computes_what_its_layers_do(graph: Path) -> None:
    x = RNG.standard_normal((5, WIDTH), np.float32)
    expected: NDArray[Any] = x
    for matrix, bias in zip(MATRICES, BIASES, strict=True):
        expected = (expected @ matrix + bias) * np.float32(0.5)

    found = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]

    assert found == pytest.approx(expected, abs=1e-5)


def test_matrices_stand_before_all_that_is_small(graph: Path) -> None:
    matrices = [place for place in constants(graph) if place[1] == WIDTH * WIDTH * 4]
    small = [place for place in constants(graph) if place[1] <= WIDTH * 4]
    assert (len(matrices), len(small)) == (LAYERS, len(constants(graph)) - LAYERS)
    assert max(start for start, _ in matrices) < min(start for start, _ in small)
    assert graph.with_suffix(".bin").stat().st_size == max(start + size for start, size in constants(graph))


def test_a_number_that_many_nodes_use_is_one_constant(graph: Path) -> None:
    assert sum(size == 4 for _, size in constants(graph)) == 1
