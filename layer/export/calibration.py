"""Calibration: run a graph on samples, and find the range of each channel of the activations that enter a MatMul."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

TEXT_INPUTS = {"ids", "rows"}
Ranges = dict[str, NDArray[np.float32]]
Feed = dict[str, NDArray[Any]]


def products(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the MatMul nodes whose second input is a weight of the graph, by the name of the activations they take."""
    matrices = {t.name for t in graph.initializer if len(t.dims) == 2 and t.data_type == TensorProto.FLOAT}
    uses = [name for node in graph.node for name in node.input]
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in matrices and uses.count(node.input[1]) == 1:
            found.setdefault(node.input[0], []).append(node)
    return found


def measure_ranges(fp32: Path, samples: Path) -> Ranges:
    """Return the largest |x| of each channel where activations enter a MatMul: float32 [channels], by their name.

    The graph at `fp32` gets an output for each such place, Abs -> Reshape [-1, channels] -> ReduceMax, and runs on the
    rows of `samples` (.npz, an array for each input) one by one, so that memory holds one sample's activations. Its
    `lengths`, where it has them, say how many tokens of a text there are before its padding.
    A sample of two tokens and three channels:

        [[[1, -4, 0], [2, 3, -1]]]  ->  [[[1, 4, 0], [2, 3, 1]]]  ->  [[1, 4, 0], [2, 3, 1]]  ->  [2, 4, 1]

    Of several samples the largest counts: [2, 4, 1] and [3, 1, 0] give [3, 4, 1].
    """
    model = onnx.load(fp32, load_external_data=False)
    width = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer if tensor.dims}
    entering = {name: width[nodes[0].input[1]] for name, nodes in products(model.graph).items()}
    if not entering:
        return {}
    first = numpy_helper.from_array(np.array([0], np.int64), "absmax.axis")
    model.graph.initializer.append(first)
    for name, channels in entering.items():
        shape = numpy_helper.from_array(np.array([-1, channels], np.int64), f"{name}.rows")
        model.graph.initializer.append(shape)
        steps = [("Abs", [name]), ("Reshape", [f"{name}.Abs", shape.name])]
        steps += [("ReduceMax", [f"{name}.Reshape", first.name])]
        for operation, inputs in steps:
            model.graph.node.append(helper.make_node(operation, inputs, [f"{name}.{operation}"]))
        model.graph.node[-1].attribute.append(helper.make_attribute("keepdims", 0))
        model.graph.output.append(helper.make_tensor_value_info(f"{name}.ReduceMax", TensorProto.FLOAT, [channels]))
    probing = fp32.with_suffix(".absmax.onnx")
    onnx.save(model, probing)
    try:
        return _largest(probing, list(entering), samples)
    finally:
        probing.unlink()


def _largest(graph: Path, entering: list[str], samples: Path) -> Ranges:
    found: Ranges = {}
    for _, computed in run_each(graph, [f"{name}.ReduceMax" for name in entering], samples):
        for name, values in zip(entering, computed, strict=True):
            found[name] = np.maximum(found[name], values) if name in found else values
    return found


def run_each(graph: Path, outputs: list[str], samples: Path) -> Iterator[tuple[Feed, list[NDArray[np.float32]]]]:
    """Run a graph on the rows of `samples` (.npz, an array for each input) one by one.

    Yields the inputs of each row, and its `outputs`. A text is cut at its `lengths`, if the samples have them.
    """
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_prepacking", "1")  # it would copy every weight
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    with np.load(samples) as held:
        feeds = {name: held[name] for name in names if name in held}
        lengths = held["lengths"] if "lengths" in held and TEXT_INPUTS & set(feeds) else None
    for row in range(len(next(iter(feeds.values())))):
        feed = {name: values[row : row + 1] for name, values in feeds.items()}
        if lengths is not None:
            alone = _alone(int(lengths[row]))
            feed = {name: values[:, : lengths[row]] for name, values in feed.items()}
            feed |= {name: alone[name] for name in names if name in alone}
        yield feed, session.run(outputs, feed)


def _alone(length: int) -> Feed:
    """Return what a causal text tower takes beside a text of that length (layer/export/towers.py)."""
    mask = np.triu(np.full((1, 1, length, length), -np.inf, np.float32), 1)
    return {"positions": np.arange(length)[None], "mask": mask, "ends": np.array([[length - 1]])}
