"""OpenVINO's form of a tower: its intermediate representation, 8-bit weights in blocks where the recipe has them."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from layer.export.recipes import Recipe

TINY = np.finfo(np.float32).tiny


def write_ir(fp32: Path, recipe: Recipe, target: Path) -> None:
    """Write `target` (.xml) and its .bin from an fp32 ONNX graph; nothing in it depends on this host's processor."""
    model = openvino.Core().read_model(fp32)
    if recipe.block:
        _quantise(model, recipe.block)
    openvino.save_model(model, target, compress_to_fp16=False)


def _quantise(model: Any, block: int) -> None:
    """Give each matrix that is multiplied with activations in 8 bits.

    OpenVINO's CPU plugin knows Constant -> Convert -> Multiply -> Reshape -> MatMul, and never makes the fp32 matrix.
    nncf, the usual tool, has one scale a row in 8 bits: too coarse for trained weights.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        weights = node.input_value(1).get_node()
        if weights.get_type_name() != "Constant" or len(weights.shape) != 2:
            continue
        attributes = node.get_attributes()
        matrix = weights.data if attributes["transpose_b"] else weights.data.T
        product = ops.matmul(node.input_value(0), _in_8_bits(matrix, block), attributes["transpose_a"], True)
        product.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(product.output(0))


def _in_8_bits(matrix: NDArray[np.float32], block: int) -> Any:
    """Return a node that is `matrix` [outputs, inputs]; a row that `block` does not divide has one scale."""
    rows, width = matrix.shape
    blocks = matrix.reshape(rows, -1, block if width % block == 0 else width)
    scales = np.maximum(np.abs(blocks).max(axis=2, keepdims=True) / 127, TINY)
    numbers = ops.convert(ops.constant(np.rint(blocks / scales).astype(np.int8)), "f32")
    return ops.reshape(ops.multiply(numbers, ops.constant(scales)), ops.constant(np.array([rows, width])), False)
