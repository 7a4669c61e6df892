"""Write attention out as two products and a softmax, so that the plugin does not rearrange the keys number by number.

OpenVINO's passes join attention into one operation. Its CPU plugin takes that apart again when it compiles the graph,
and transposes the keys for the first product. A product that reads its second matrix transposed needs no such copy.
"""

import math
from typing import Any

import numpy as np
from openvino import opset13 as ops


def write_out_attention(model: Any) -> None:
    """Replace, in place, each ScaledDotProductAttention of heads [N, heads, L, E]; causal ones stay as they are."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "ScaledDotProductAttention" or node.get_attributes()["causal"]:
            continue
        query, keys, values, *options = (node.input_value(place) for place in range(node.get_input_size()))
        scores = _scores(query, keys, options)
        if scores is None:
            continue
        mixed = ops.matmul(ops.softmax(scores, -1), values, False, False)
        mixed.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(mixed.output(0))


def _scores(query: Any, keys: Any, options: list[Any]) -> Any | None:
    """Return what the softmax takes, for `options`: a mask and a scale, if there are; None where it cannot be told."""
    width = query.get_partial_shape()[-1]
    if len(options) > 2 or (len(options) < 2 and width.is_dynamic):  # a third is a sink, which the softmax takes too
        return None
    scale = _number(options[1]) if len(options) > 1 else 1 / math.sqrt(width.get_length())
    mask = options[0] if options else None
    if scale is None or (mask is not None and not mask.get_element_type().is_real()):
        return None
    if scale != 1:
        query = ops.multiply(query, ops.constant(np.float32(scale)))
    scores = ops.matmul(query, _transposed_once(keys), False, True)
    return scores if mask is None or _number(mask) == 0 else ops.add(scores, mask)


def _number(value: Any) -> float | None:
    """Return the number that a constant holds; None for anything else."""
    node = value.get_node()
    return float(node.data.reshape(())) if node.get_type_name() == "Constant" and node.data.size == 1 else None


def _transposed_once(value: Any) -> Any:
    """Return `value` by one Transpose, where it comes by two: the first is the keys' for a product as torch has it."""
    last = value.get_node()
    first = last.input_value(0).get_node() if last.get_type_name() == "Transpose" else None
    if first is None or first.get_type_name() != "Transpose":
        return value
    orders = [node.input_value(1).get_node() for node in (first, last)]
    if any(order.get_type_name() != "Constant" for order in orders):
        return value
    return ops.transpose(first.input_value(0), ops.constant(orders[0].data[orders[1].data]))
