"""Attention as it is exported gives torch's own numbers, in every way in which open_clip's towers ask for it."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from layer.export.attention import export_friendly_attention

LENGTH, HEADS, WIDTH = 7, 4, 32
CAUSAL = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
MASKS = {
    "none": None,
    "causal": CAUSAL,
    "one a head": CAUSAL.repeat(2 * HEADS, 1, 1),  # as CoCa's class token has it
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", MASKS)
def test_self_attention_computes_what_torch_does(mask: str, bias: bool) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(WIDTH, HEADS, bias=bias, batch_first=True).eval()
    x = torch.randn(2, LENGTH, WIDTH)

    expected = attention(x, x, x, need_weights=False, attn_mask=MASKS[mask])[0]
    with export_friendly_attention():
        found = attention(x, x, x, need_weights=False, attn_mask=MASKS[mask])[0]

    torch.testing.assert_close(found, expected)


def test_attention_to_another_sequence_computes_what_torch_does() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    query, x = torch.randn(2, 3, WIDTH), torch.randn(2, LENGTH, WIDTH)

    expected = attention(query, x, x, need_weights=False)[0]
    with export_friendly_attention():
        found = attention(query, x, x, need_weights=False)[0]

    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("asked", [{}, {"attn_mask": CAUSAL}, {"is_causal": True}, {"scale": 0.5}])
def test_a_scaled_dot_product_computes_what_torch_does(asked: dict[str, object]) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, HEADS, LENGTH, 8).unbind()

    expected = functional.scaled_dot_product_attention(q, k, v, **asked)  # type: ignore[arg-type]
    with export_friendly_attention():
        found = functional.scaled_dot_product_attention(q, k, v, **asked)  # type: ignore[arg-type]

    torch.testing.assert_close(found, expected)


def test_torchs_own_is_back_afterwards() -> None:
    own = nn.MultiheadAttention.forward, functional.scaled_dot_product_attention
    with export_friendly_attention():
        assert nn.MultiheadAttention.forward is not own[0]
    assert (nn.MultiheadAttention.forward, functional.scaled_dot_product_attention) == own
