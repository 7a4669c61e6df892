"""Attention's scale as a part of the product that makes the queries: one operation less in each block."""

from typing import Any

import numpy as np
from openvino import opset13 as ops

from layer.export.split_products import product_and_bias

LAYOUT = ("Reshape", "Transpose", "Squeeze", "Unsqueeze")  # move numbers, and change none


def fold_scales(model: Any) -> None:
    """Multiply matrices and biases, in place, by the scalar that their product is multiplied with.

    The plugin joins a scale to a product that stands right before it. A query's is behind the split into heads.
    With heads of 64 the scale is 1/8: a power of two, so that nothing is rounded in another way.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Multiply":
            continue
        sides = [node.input_value(place).get_node() for place in (0, 1)]
        scalars = [side for side in sides if side.get_type_name() == "Constant" and side.data.size == 1]
        if len(scalars) != 1:
            continue
        place = 1 - sides.index(scalars[0])
        same_shape = node.get_output_partial_shape(0) == node.get_input_partial_shape(place)
        if same_shape and _fold(sides[place], scalars[0].data.reshape(())):
            node.output(0).replace(node.input_value(place))


def _fold(node: Any, scale: Any) -> bool:
    """Multiply the product that `node` is, behind operations of layout; False where it is none, or has other users."""
    while node.get_type_name() in LAYOUT and _has_one_user(node):
        node = node.input_value(0).get_node()
    found = product_and_bias(node)
    if found is None or not _has_one_user(node):
        return False
    product, bias = found
    if not _has_one_user(product):
        return False
    _replace(product, 1, product.input_value(1).get_node().data * scale)
    if bias is not None:
        place = next(at for at in (0, 1) if node.input_value(at).get_node().get_type_name() == "Constant")
        _replace(node, place, bias.data * scale)
    return True


def _has_one_user(node: Any) -> bool:
    return node.get_output_size() == 1 and len(node.output(0).get_target_inputs()) == 1


def _replace(node: Any, place: int, numbers: Any) -> None:
    node.input(place).replace_source_output(ops.constant(numbers.astype(np.float32)).output(0))
