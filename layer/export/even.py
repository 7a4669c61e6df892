"""Even out the channels that enter each product, so that 8 bits are enough for all of them.

One channel that reaches far takes the precision of those it shares a scale with. So activations are divided, and the
rows of the matrix multiplied, by a number for each channel: the burden is shared (SmoothQuant, Xiao et al. 2023, at
its alpha of 0.5), and what the graph computes stays the same.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from layer.export.reach import Reach, measure_reach, products

LEAST = 1e-6  # a channel that is never anything but 0


def write_even(fp32: Path, inputs: Path, target: Path) -> None:
    """Write `target` (and its .data), which computes what `fp32` does; `inputs` as `measure_reach` takes them."""
    reach = measure_reach(fp32, inputs)
    model = onnx.load(fp32)
    _even_out(model.graph, reach)
    data = target.with_suffix(".data")
    data.unlink(missing_ok=True)
    onnx.save_model(model, target, save_as_external_data=True, location=data.name, size_threshold=1024)


def _even_out(graph: onnx.GraphProto, reach: Reach) -> None:
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    taken = [name for node in graph.node for name in node.input] + [port.name for port in graph.output]
    norms = {node.output[0]: node for node in graph.node if node.op_type == "LayerNormalization"}
    divided: dict[str, onnx.NodeProto] = {}
    for name, nodes in products(graph).items():
        matrices = [numpy_helper.to_array(tensors[node.input[1]]) for node in nodes]
        weights = np.maximum.reduce([np.abs(matrix).max(axis=1) for matrix in matrices])
        burden = np.sqrt(np.maximum(reach[name], LEAST) / np.maximum(weights, LEAST)).astype(np.float32)
        for node, matrix in zip(nodes, matrices, strict=True):
            held = tensors[node.input[1]]
            held.CopyFrom(numpy_helper.from_array(matrix * burden[:, None], held.name))
        if name in norms and taken.count(name) == len(nodes):
            _divide_norm(graph, norms[name], tensors, burden)
            continue
        share = numpy_helper.from_array(1 / burden, f"{name}.share")
        graph.initializer.append(share)
        divided[name] = helper.make_node("Mul", [name, share.name], [f"{name}.even"])
        for node in nodes:
            node.input[0] = f"{name}.even"
    _insert(graph, divided)


def _divide_norm(
    graph: onnx.GraphProto, norm: onnx.NodeProto, tensors: dict[str, onnx.TensorProto], burden: NDArray[np.float32]
) -> None:
    """Divide in the weights of the normalisation itself, which costs nothing at run time."""
    for place in range(1, len(norm.input)):
        values = numpy_helper.to_array(tensors[norm.input[place]])
        graph.initializer.append(numpy_helper.from_array(values / burden, f"{norm.output[0]}.even{place}"))
        norm.input[place] = f"{norm.output[0]}.even{place}"


def _insert(graph: onnx.GraphProto, after: dict[str, onnx.NodeProto]) -> None:
    """Put each node behind the one, or before all where it is an input, that makes what it takes."""
    made = {name for node in graph.node for name in node.output}
    nodes = [node for name, node in after.items() if name not in made]
    for node in graph.node:
        nodes += [node, *(after[name] for name in node.output if name in after)]
    del graph.node[:]
    graph.node.extend(nodes)
