"""SmoothQuant: give the channels that enter a MatMul similar ranges, so that 8 bits are enough for all of them.

Xiao et al. 2023, alpha 0.5. One channel with a large range makes the steps of quantization coarse for all channels that
share its scale. So activations are divided by a smoothing scale for each channel, and the rows of the matrix are
multiplied by it: the graph computes the same, and both sides are easier to quantize.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from layer.export.calibration import Ranges, measure_ranges, products

MIN_RANGE = 1e-6  # of a channel that is always 0


def write_smoothed(fp32: Path, inputs: Path, target: Path) -> None:
    """Write `target` (and its .data), which computes what `fp32` does; `inputs` as `measure_ranges` takes them."""
    absmax = measure_ranges(fp32, inputs)
    model = onnx.load(fp32)
    _apply_smoothing(model.graph, absmax)
    data = target.with_suffix(".data")
    data.unlink(missing_ok=True)
    onnx.save_model(model, target, save_as_external_data=True, location=data.name, size_threshold=1024)


def _apply_smoothing(graph: onnx.GraphProto, absmax: Ranges) -> None:
    """Divide each MatMul's activations X by a scale s for each channel, and multiply its matrix W: (X / s)(s W) = XW.

    s = sqrt(max |X| / max |W|) for each channel gives both sides the same range, sqrt(max |X| max |W|). With
    max |X| = 64 and max |W| = 1, s = 8: both reach 8. Where a LayerNormalization is just before, its weights are
    divided instead.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    taken = [name for node in graph.node for name in node.input] + [port.name for port in graph.output]
    norms = {node.output[0]: node for node in graph.node if node.op_type == "LayerNormalization"}
    divided: dict[str, onnx.NodeProto] = {}
    for name, nodes in products(graph).items():
        matrices = [numpy_helper.to_array(tensors[node.input[1]]) for node in nodes]
        weights = np.maximum.reduce([np.abs(matrix).max(axis=1) for matrix in matrices])
        smoothing_scale = np.sqrt(np.maximum(absmax[name], MIN_RANGE) / np.maximum(weights, MIN_RANGE)).astype(
            np.float32
        )
        for node, matrix in zip(nodes, matrices, strict=True):
            held = tensors[node.input[1]]
            held.CopyFrom(numpy_helper.from_array(matrix * smoothing_scale[:, None], held.name))
        if name in norms and taken.count(name) == len(nodes):
            _divide_norm(graph, norms[name], tensors, smoothing_scale)
            continue
        inverse_scale = numpy_helper.from_array(1 / smoothing_scale, f"{name}.inverse_scale")
        graph.initializer.append(inverse_scale)
        divided[name] = helper.make_node("Mul", [name, inverse_scale.name], [f"{name}.smoothed"])
        for node in nodes:
            node.input[0] = f"{name}.smoothed"
    _insert(graph, divided)


def _divide_norm(
    graph: onnx.GraphProto,
    norm: onnx.NodeProto,
    tensors: dict[str, onnx.TensorProto],
    smoothing_scale: NDArray[np.float32],
) -> None:
    """Divide the weights of the normalization by the scale, which costs nothing at run time."""
    for place in range(1, len(norm.input)):
        values = numpy_helper.to_array(tensors[norm.input[place]])
        graph.initializer.append(numpy_helper.from_array(values / smoothing_scale, f"{norm.output[0]}.smoothed{place}"))
        norm.input[place] = f"{norm.output[0]}.smoothed{place}"


def _insert(graph: onnx.GraphProto, after: dict[str, onnx.NodeProto]) -> None:
    """Insert each node of `after` directly after the node that makes its input, or first if that is a graph input."""
    made = {name for node in graph.node for name in node.output}
    nodes = [node for name, node in after.items() if name not in made]
    for node in graph.node:
        nodes += [node, *(after[name] for name in node.output if name in after)]
    del graph.node[:]
    graph.node.extend(nodes)
