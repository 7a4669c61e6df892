"""The ranges that SmoothQuant is given: of the tokens that reach an embedding, and of no padding."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from layer.export.calibration import measure_ranges

ROWS = np.array([[[1, -4, 0], [2, 3, -1], [900, 0, 0]], [[3, 1, 0], [0, -800, 0], [0, 0, 700]]], np.float32)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    matrix = numpy_helper.from_array(np.ones((3, 2), np.float32), "matrix")
    given = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["N", "L", 3])
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, ["N", "L", 2])
    product = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "matrix"], ["made"])], "g", [given], [made], [matrix]
    )
    onnx.save(
        helper.make_model(product, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "g.onnx"
    )
    return tmp_path / "g.onnx"


def test_the_padding_of_a_causal_text_counts_for_nothing(graph: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs.npz", rows=ROWS, lengths=np.array([2, 1]))
    assert measure_ranges(graph, tmp_path / "inputs.npz")["rows"].tolist() == [3, 4, 1]


def test_where_every_token_reaches_the_embedding_each_counts(graph: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs.npz", rows=ROWS)
    assert measure_ranges(graph, tmp_path / "inputs.npz")["rows"].tolist() == [900, 800, 700]
