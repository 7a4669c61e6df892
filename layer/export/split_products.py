"""Replace a product whose output is split into queries, keys and values by a product for each."""

from typing import Any

import numpy as np
from openvino import opset13 as ops


def split_products(model: Any) -> None:
    """Replace, in place, MatMul -> Add -> Split along the outputs by a MatMul and an Add for each part.

    In 8 bits the plugin would copy each part to scale it after the Split, a twentieth of a small tower's time.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Split" and (found := product_and_bias(node.input_value(0).get_node())):
            _replace(node, *found)


def product_and_bias(node: Any) -> tuple[Any, Any] | None:
    """Return a product with a weight matrix, and its bias or None; None if the node is anything else."""
    bias = None
    if node.get_type_name() == "Add":
        sides = [node.input_value(place).get_node() for place in (0, 1)]
        constants = [side for side in sides if side.get_type_name() == "Constant"]
        if len(constants) != 1 or len(constants[0].data.reshape(-1)) != constants[0].shape[-1]:
            return None
        [bias] = constants
        [node] = [side for side in sides if side is not bias]
    if node.get_type_name() != "MatMul" or node.get_attributes()["transpose_a"]:
        return None
    matrix = node.input_value(1).get_node()
    return (node, bias) if matrix.get_type_name() == "Constant" and len(matrix.shape) == 2 else None


def _replace(split: Any, product: Any, bias: Any) -> None:
    axis, count = int(split.input_value(1).get_node().data), split.get_output_size()
    rank = split.input_value(0).get_partial_shape().rank
    if rank.is_dynamic or axis % rank.get_length() != rank.get_length() - 1:
        return
    matrix = product.input_value(1).get_node().data
    if not product.get_attributes()["transpose_b"]:
        matrix = matrix.T
    for part, rows in enumerate(np.split(matrix, count)):
        found = ops.matmul(product.input_value(0), ops.constant(np.ascontiguousarray(rows)), False, True)
        found.set_friendly_name(f"{product.get_friendly_name()}.{part}")
        if bias is not None:
            found = ops.add(found, ops.constant(np.split(bias.data.reshape(-1), count)[part].copy()))
        split.output(part).replace(found.output(0))
