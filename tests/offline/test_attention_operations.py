"""Attention that is written out computes what torch's does, and transposes its keys within the product."""

from typing import Any

import numpy as np
import openvino
import pytest
import torch
from openvino import opset13 as ops
from torch.nn import functional

from layer.export.attention_operations import write_out_attention

IN_F32 = {"INFERENCE_PRECISION_HINT": "f32"}
TOKENS, HEADS, WIDTH = 5, 3, 8
MASK = np.triu(np.full((1, 1, TOKENS, TOKENS), -np.inf, np.float32), 1)
ATTENTION = "ScaledDotProductAttention"


def heads(x: Any, *orders: list[int]) -> Any:
    """Split [N, 5, 24] into heads, and transpose by each order."""
    found = ops.reshape(x, ops.constant(np.array([0, TOKENS, HEADS, WIDTH])), True)
    for order in orders:
        found = ops.transpose(found, ops.constant(np.array(order)))
    return found


def written_out(*options: Any, causal: bool = False) -> tuple[dict[str, int], Any, Any]:
    """Return how many operations of a kind the graph then has, what it computes of x, and x itself."""
    x = ops.parameter([-1, TOKENS, HEADS * WIDTH], np.float32)
    query, values = (heads(ops.multiply(x, ops.constant(np.float32(by))), [0, 2, 1, 3]) for by in (1, 3))
    keys = heads(x, [0, 2, 3, 1], [0, 1, 3, 2])
    model = openvino.Model(
        [ops.result(ops.scaled_dot_product_attention(query, keys, values, *options, causal=causal))], [x]
    )
    write_out_attention(model)
    kinds = [node.get_type_name() for node in model.get_ops()]
    given = np.random.default_rng(0).standard_normal((2, TOKENS, HEADS * WIDTH)).astype(np.float32)
    return {kind: kinds.count(kind) for kind in kinds}, openvino.compile_model(model, "CPU", IN_F32)(given)[0], given


def expected(x: Any, **options: Any) -> Any:
    parts = torch.from_numpy(x).unflatten(-1, (HEADS, WIDTH)).transpose(1, 2)
    return functional.scaled_dot_product_attention(parts, parts, 3 * parts, **options).numpy()


@pytest.mark.parametrize("mask", [None, MASK, np.float32(0)], ids=["no mask", "a mask", "OpenVINO's zero"])
@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
def test_attention_becomes_two_products_and_a_softmax(mask: Any, scale: float | None) -> None:
    given = [] if mask is None and scale is None else [np.float32(0) if mask is None else mask]
    options = [ops.constant(np.asarray(value, np.float32)) for value in [*given, *([scale] if scale else [])]]
    count, found, x = written_out(*options)
    assert (count.get(ATTENTION, 0), count["MatMul"], count["Softmax"]) == (0, 2, 1)
    assert count["Transpose"] == 3, "the keys' two transpositions were not joined"
    masked = torch.from_numpy(MASK) if mask is MASK else None
    assert found == pytest.approx(expected(x, attn_mask=masked, scale=scale), abs=1e-5)


def test_attention_of_a_kind_that_has_other_rules_stays() -> None:
    count, found, x = written_out(causal=True)
    assert count[ATTENTION] == 1
    assert found == pytest.approx(expected(x, is_causal=True), abs=1e-5)
    allowed = np.tri(TOKENS, dtype=bool)[None, None]
    count, found, x = written_out(ops.constant(allowed))
    assert count[ATTENTION] == 1
    assert found == pytest.approx(expected(x, attn_mask=torch.from_numpy(allowed)), abs=1e-5)
