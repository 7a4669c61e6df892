"""The token table outside the graph: the rows of the ids, at once exact or within half a step of 8 bits."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from handler.engines.token_table import TokenTable, text_inputs
from layer.engines import FP32, Recipe
from layer.export.token_table import externalize_table, write_table

IDS = np.array([[0, 7, 7], [9_000, 2, 1]])


def _table(width: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    table = np.random.default_rng(0).normal(size=(9_001, width)).astype(np.float32)
    table[2] = 0  # as the padding token's row often is
    return table


def test_in_fp32_the_rows_are_the_tables_own(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "text.table.npy", _table(48))
    write_table(tmp_path / "text.table.npy", FP32, tmp_path / "out")
    np.testing.assert_array_equal(TokenTable(tmp_path / "out")(IDS), _table(48)[IDS])


@pytest.mark.parametrize("width", [64, 48], ids=["blocks", "a width that blocks do not divide"])
def test_in_8_bits_a_number_is_off_by_half_a_step_of_its_row_at_most(tmp_path: Path, width: int) -> None:
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "text.table.npy", _table(width))
    write_table(tmp_path / "text.table.npy", Recipe("int8", 128, 8), tmp_path / "out")
    rows = TokenTable(tmp_path / "out")(IDS)
    half_step = np.abs(_table(width)[IDS]).max(axis=2, keepdims=True) / 127 / 2
    assert rows.dtype == np.float32
    assert (np.abs(rows - _table(width)[IDS]) <= half_step * 1.001).all()
    assert (tmp_path / "out" / "text.table.npy").stat().st_size < 9_001 * width * 1.1


@pytest.mark.parametrize("ids_are_used_again", [True, False])
def test_a_graph_gives_up_its_table_and_asks_for_what_it_still_needs(tmp_path: Path, ids_are_used_again: bool) -> None:
    import onnxruntime

    nodes = [helper.make_node("Gather", ["table", "ids"], ["x"]), helper.make_node("ReduceSum", ["x", "one"], ["y"])]
    if ids_are_used_again:
        nodes += [helper.make_node("Cast", ["ids"], ["f"], to=TensorProto.FLOAT)]
        nodes += [helper.make_node("ReduceMax", ["f"], ["m"]), helper.make_node("Add", ["y", "m"], ["vectors"])]
    else:
        nodes += [helper.make_node("Identity", ["y"], ["vectors"])]
    tensors = [numpy_helper.from_array(_table(64), "table"), numpy_helper.from_array(np.array([1]), "one")]
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])
    out = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "text", [ids], [out], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save(model, tmp_path / "text.onnx")
    [expected] = onnxruntime.InferenceSession(tmp_path / "text.onnx").run(None, {"ids": IDS})

    assert externalize_table(tmp_path / "text.onnx")

    session = onnxruntime.InferenceSession(tmp_path / "text.onnx")
    inputs = {port.name for port in session.get_inputs()}
    assert inputs == ({"ids", "rows"} if ids_are_used_again else {"rows"})
    [vectors] = session.run(None, text_inputs(IDS, TokenTable(tmp_path), inputs))
    np.testing.assert_array_equal(vectors, expected)
    assert (tmp_path / "text.onnx").stat().st_size < 10_000
    assert not externalize_table(tmp_path / "text.onnx")
