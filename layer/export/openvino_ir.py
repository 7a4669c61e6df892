"""Write a tower as OpenVINO's intermediate representation (IR), quantized as its recipe says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops
from openvino._offline_transformations import apply_moc_transformations
from openvino.passes import ConstantFolding, Manager

from layer.engines import Recipe
from layer.export.attention_operations import write_out_attention
from layer.export.ir_file import partition_constants
from layer.export.query_scale import fold_scales
from layer.export.split_products import split_products
from layer.export.static_ranges import read_static_ranges

TINY = np.finfo(np.float32).tiny
SMALL = 16  # numbers: constants of at most this size are shared
VNNI_CHECK = "proof"  # the output that shows the handler whether 8-bit products are exact on its processor


def write_ir(fp32: Path, recipe: Recipe, target: Path) -> None:
    """Write `target` (.xml) and its .bin from an fp32 ONNX graph; nothing in it depends on this host's processor."""
    model = openvino.Core().read_model(fp32)
    if recipe.block:
        _fold(model)
        split_products(model)
        fold_scales(model)
        _quantize(model, None if recipe.per_token else recipe.block, read_static_ranges(fp32, recipe))
    if recipe.per_token or recipe.static:
        _add_vnni_check(model)
    apply_moc_transformations(model, cf=True)  # otherwise each load would begin with these
    write_out_attention(model)
    _share_constants(model)
    openvino.save_model(model, target, compress_to_fp16=False)
    partition_constants(target)


def _fold(model: Any) -> None:
    """Fold constants, such as relative positions: OpenVINO cannot do this after products are quantized."""
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(model)


def _quantize(model: Any, block: int | None, ranges: Mapping[str, float]) -> None:
    """Quantize each matrix that activations are multiplied with.

    Where `ranges` has a fixed range for the activations, they are quantized with it (`_static`). For others, `block`
    weights share a scale, and OpenVINO quantizes the activations at run time; with `block` None, each row of a matrix
    has a scale, and each token (`_per_token`). The CPU plugin recognizes Constant -> Convert -> Multiply -> Reshape ->
    MatMul, and never makes the fp32 matrix. nncf, the usual tool, has one scale for each row in 8 bits: too coarse for
    trained weights.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        weights = node.input_value(1).get_node()
        if weights.get_type_name() != "Constant" or len(weights.shape) != 2:
            continue
        attributes = node.get_attributes()
        matrix = weights.data if attributes["transpose_b"] else weights.data.T
        entering = node.input_value(0)
        bound = next((ranges[name] for name in entering.get_names() if name in ranges), 0.0)
        if bound and not attributes["transpose_a"]:
            product = _static(entering, matrix, bound)
        elif block is not None or attributes["transpose_a"]:
            product = ops.matmul(entering, _in_8_bits(matrix, block or 32), attributes["transpose_a"], True)
        else:
            product = _per_token(entering, matrix)
        product.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(product.output(0))


def _per_token(entering: Any, matrix: NDArray[np.float32]) -> Any:
    """Return the product of activations [..., inputs] and `matrix` [outputs, inputs], both in 8 bits.

    A token x is divided by its largest |x|, each row w of the matrix by its own, and both become integers:

        x = [0.5, -2]  ->  largest 2:  [0.25, -1]     in steps of 1/127:  [32, -127]
        w = [3, 1]     ->  largest 3:  [1, 0.333]     in steps of 1/127:  [127, 42]

    The product of integers is 32 x 127 - 127 x 42 = -1,270. Times both steps and both largest, 2 x 3 / 127^2, it is
    -0.472; the exact product is -0.5. With hundreds of inputs, such errors average out.
    """
    last = ops.constant(np.array([-1]))
    absmax = ops.maximum(ops.reduce_max(ops.abs(entering), last, False), ops.constant(np.float32(1e-6)))
    # One division for each token. Without the Unsqueeze, the plugin would fuse both operations and divide each number.
    inverse = ops.unsqueeze(ops.divide(ops.constant(np.float32(1)), absmax), last)
    product = _integers(ops.multiply(entering, inverse), *_rows_in_8_bits(matrix))
    return ops.multiply(product, ops.unsqueeze(absmax, last))


def _static(entering: Any, matrix: NDArray[np.float32], bound: float) -> Any:
    """Return the product of activations [..., inputs], from -bound to bound, and `matrix` [outputs, inputs].

    The range is symmetric, although a GELU gives nothing far below 0: with a zero point OpenVINO compiles 1.7 times as
    long.
    """
    return _integers(entering, *_rows_in_8_bits(matrix), bound)


def _rows_in_8_bits(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return `matrix` [outputs, inputs] as integers, and the scale of each row, [outputs, 1]."""
    scales = np.maximum(np.abs(matrix).max(axis=1, keepdims=True) / 127, TINY)
    return np.rint(matrix / scales).astype(np.int8), scales


def _integers(entering: Any, numbers: NDArray[np.int8], scales: NDArray[np.float32], bound: float = 1.0) -> Any:
    """Multiply activations from -bound to bound: the plugin turns a FakeQuantize of fixed range into integers."""
    low, high = ops.constant(np.float32(-bound)), ops.constant(np.float32(bound))
    matrix = ops.multiply(ops.convert(ops.constant(numbers), "f32"), ops.constant(scales))
    return ops.matmul(ops.fake_quantize(entering, low, high, low, high, 255), matrix, False, True)


def _add_vnni_check(model: Any) -> None:
    """Add the output "proof" [N, 8], which is 1 if products are exact: without VNNI, sums of two products saturate."""
    count = ops.gather(ops.shape_of(model.inputs[0]), ops.constant([0]), ops.constant(0))
    shape = ops.concat([count, ops.constant(np.array([64]))], 0)
    scales = np.full((8, 1), 1 / (64 * 127), np.float32)
    proof = _integers(ops.broadcast(ops.constant(np.float32(1)), shape), np.full((8, 64), 127, np.int8), scales)
    proof.output(0).set_names({VNNI_CHECK})
    model.add_results([ops.result(proof)])


def _share_constants(model: Any) -> None:
    """Keep each small constant only once, which changes no result.

    OpenVINO's passes visit every node, and a third of the nodes are constants with the same few numbers.
    """
    kept: dict[tuple[Any, ...], Any] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and node.data.size <= SMALL:
            known = str(node.get_element_type()), tuple(node.shape), node.data.tobytes()
            same = kept.setdefault(known, node)
            if same is not node:
                node.output(0).replace(same.output(0))


def _in_8_bits(matrix: NDArray[np.float32], block: int) -> Any:
    """Return `matrix` [outputs, inputs] as a node in 8 bits; a row that `block` does not divide has a single scale."""
    rows, width = matrix.shape
    blocks = matrix.reshape(rows, -1, block if width % block == 0 else width)
    scales = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / 127, TINY)
    numbers = ops.convert(ops.constant(np.rint(blocks / scales).astype(np.int8)), "f32")
    return ops.reshape(ops.multiply(numbers, ops.constant(scales)), ops.constant(np.array([rows, width])), False)
