"""Write the products of an ONNX graph in int8, with a scale for each token and each output: fast on VNNI and AMX."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from layer.export.calibration import products

ZERO = 128  # zero point of the activations: they are unsigned, and the weights are signed
MICROSOFT = "com.microsoft"
CONSTANTS = {
    "token.last": np.array([-1], np.int64),
    "token.one": np.float32(1),
    "token.zero": np.uint8(ZERO),
    "token.least": np.float32(1e-6),
    "token.step": np.float32(1 / 127),
}


def per_token_matmul(model: onnx.ModelProto, ranges: Mapping[str, float]) -> None:
    """Replace, in place, each MatMul whose second input is a weight of the model.

    `ranges` are bounds of activations by name: these are quantized from -bound to bound, with one scale for all tokens.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    chosen = products(graph)
    biases = _biases(graph, [node for name in ranges for node in chosen.get(name, [])])
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        entering = node.input[0] if node.input else ""
        if node not in chosen.get(entering, []):
            if node not in biases.values():
                nodes.append(node)
            continue
        step = ranges.get(entering, 0.0) / 127
        if node == chosen[entering][0]:
            nodes += _in_fixed_steps(graph, entering, step) if step else _in_8_bits(entering)
        scales = _quantize(tensors[node.input[1]], step or 1.0)
        graph.initializer.append(scales)
        inputs = [f"{entering}.in_8_bits", node.input[1], "token.one", scales.name, "token.zero"]
        if step:
            nodes.append(_with_bias(inputs, node, biases.get(node.output[0])))
            continue
        nodes.append(_node("MatMulIntegerToFloat", inputs, f"{node.output[0]}.product", domain=MICROSOFT))
        nodes.append(_node("Mul", [f"{node.output[0]}.product", f"{entering}.scale"], node.output[0]))
    if not chosen:
        return
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items())
    if MICROSOFT not in {used.domain for used in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))


def _biases(graph: onnx.GraphProto, found: list[onnx.NodeProto]) -> dict[str, onnx.NodeProto]:
    """Return, by the product's output, each node that adds a constant vector to one of these products only."""
    vectors = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 1}
    uses = [name for node in graph.node for name in node.input] + [port.name for port in graph.output]
    alone = {node.output[0] for node in found if uses.count(node.output[0]) == 1}
    added = [node for node in graph.node if node.op_type == "Add" and vectors.intersection(node.input)]
    return {name: node for node in added for name in alone.intersection(node.input)}


def _with_bias(inputs: list[str], product: onnx.NodeProto, added: onnx.NodeProto | None) -> onnx.NodeProto:
    """Return a product that adds the bias itself, which saves a pass over its output."""
    if added is None:
        return _node("MatMulIntegerToFloat", inputs, product.output[0], domain=MICROSOFT)
    [bias] = set(added.input) - {product.output[0]}
    return _node("MatMulIntegerToFloat", [*inputs, "", bias], added.output[0], domain=MICROSOFT)


def _in_8_bits(name: str) -> list[onnx.NodeProto]:
    """Return the nodes that make `name`.in_8_bits (uint8, zero point 128) and `name`.scale, one for each token."""
    return [
        _node("ReduceMax", [name, "token.last"], f"{name}.high", keepdims=1),
        _node("ReduceMin", [name, "token.last"], f"{name}.low", keepdims=1),
        _node("Neg", [f"{name}.low"], f"{name}.depth"),
        _node("Max", [f"{name}.high", f"{name}.depth", "token.least"], f"{name}.absmax"),
        _node("Mul", [f"{name}.absmax", "token.step"], f"{name}.scale"),
        # Div and not QuantizeLinear alone: that takes a scale for each row of a 2-D matrix only, and a Reshape copies.
        _node("Div", [name, f"{name}.scale"], f"{name}.steps"),
        _node("QuantizeLinear", [f"{name}.steps", "token.one", "token.zero"], f"{name}.in_8_bits"),
    ]


def _in_fixed_steps(graph: onnx.GraphProto, name: str, step: float) -> list[onnx.NodeProto]:
    """Return the nodes that make `name`.in_8_bits (uint8, zero point 128) with the same step for all tokens."""
    graph.initializer.append(numpy_helper.from_array(np.asarray(np.float32(step)), f"{name}.step"))
    return [_node("QuantizeLinear", [name, f"{name}.step", "token.zero"], f"{name}.in_8_bits")]


def _quantize(matrix: onnx.TensorProto, step: float) -> onnx.TensorProto:
    """Quantize a matrix to int8, in place; returns the scales of its columns, each times `step`."""
    values: NDArray[np.float32] = numpy_helper.to_array(matrix)
    scales = np.maximum(np.abs(values).max(axis=0) / 127, np.finfo(np.float32).tiny).astype(np.float32)
    matrix.CopyFrom(numpy_helper.from_array(np.rint(values / scales).astype(np.int8), matrix.name))
    return numpy_helper.from_array(scales * np.float32(step), f"{matrix.name}.scales")


def _node(
    operation: str, inputs: list[str], output: str, domain: str | None = None, **attributes: int
) -> onnx.NodeProto:
    return helper.make_node(operation, inputs, [output], output, domain=domain, **attributes)


def write_saturation_safe(fast: Path, wide: Path) -> None:
    """Write `wide`, a saturation-safe graph with the results of `fast`; both use the same file of weights.

    x86 without VNNI multiplies unsigned by signed bytes (`vpmaddubsw`), adds two products in 16 bits, and saturates at
    32,767. The largest sum of `fast` is 2 x 255 x 127 = 64,770. Products of unsigned and unsigned bytes are computed in
    16 bits and added in 32 (`vpmaddwd`): exact, and a third slower. So the same bytes of each matrix are read as
    unsigned and their sign bit is flipped, which adds 128, the matrix's zero point:

        -3 is 0xFD   ->   0xFD ^ 0x80 = 0x7D = 125 = -3 + 128

    ONNX Runtime flips them once, by constant folding, when it loads the graph with its basic optimizations.
    """
    model = onnx.load(fast, load_external_data=False)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    flips: dict[str, onnx.NodeProto] = {}
    for node in model.graph.node:
        if node.op_type != "MatMulIntegerToFloat":
            continue
        numbers, matrix, one, scales, zero, *bias = node.input
        _read_as_unsigned(tensors[matrix])
        flips[matrix] = _node("BitwiseXor", [matrix, "wide.zero"], f"{matrix}.unsigned")
        del node.input[:]
        node.input.extend([numbers, f"{matrix}.unsigned", one, scales, zero, "wide.zero", *bias[1:]])
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(np.uint8(ZERO)), "wide.zero"))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*flips.values(), *nodes])
    onnx.save(model, wide)


def _read_as_unsigned(matrix: onnx.TensorProto) -> None:
    """Declare the bytes of an int8 matrix as uint8."""
    if matrix.data_location != TensorProto.EXTERNAL and not matrix.HasField("raw_data"):
        raise ValueError(f"{matrix.name} is neither in the file of weights nor raw bytes")
    matrix.data_type = TensorProto.UINT8


def write_vnni_probe(target: Path) -> None:
    """Write the VNNI probe, a graph that shows whether a processor saturates: "numbers" [2, 8] times 127."""
    ports = [
        helper.make_tensor_value_info(name, kind, [2, 8])
        for name, kind in (("numbers", TensorProto.UINT8), ("sums", TensorProto.INT32))
    ]
    matrix = numpy_helper.from_array(np.full((8, 8), 127, np.int8), "matrix")
    node = helper.make_node("MatMulInteger", ["numbers", "matrix"], ["sums"])
    graph = helper.make_graph([node], "probe", ports[:1], ports[1:], [matrix])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), target)
