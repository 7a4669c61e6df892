"""Attention that exports to a third of the ONNX nodes, with each linear layer as a plain MatMul.

torch's multi-head forward transposes and flattens batches for its output projection, which becomes a Gemm in ONNX, and
no quantizer supports those. And the exporter computes the shapes of a dot product again for each use.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn import functional

_multi_head = nn.MultiheadAttention.forward
_dot_product = functional.scaled_dot_product_attention


@contextmanager
def export_friendly_attention() -> Iterator[None]:
    """Within this block, attention without special options computes the same with fewer operations."""
    with (
        mock.patch.object(nn.MultiheadAttention, "forward", multi_head),
        mock.patch.object(functional, "scaled_dot_product_attention", dot_product),
    ):
        yield


def dot_product(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Do what `torch.nn.functional.scaled_dot_product_attention` does, [N, heads, L, E], without dropout."""
    if dropout_p or is_causal or enable_gqa or (attn_mask is not None and attn_mask.dtype == torch.bool):
        return _dot_product(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    scores = (query * (scale or 1 / math.sqrt(query.shape[-1]))) @ key.transpose(-2, -1)
    if attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(dim=-1) @ value


def multi_head(
    self: nn.MultiheadAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    **others: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Do what `nn.MultiheadAttention.forward` does, [N, L, E]; calls with special options are passed on to it."""
    plain = self.batch_first and query.dim() == 3 and self.in_proj_weight is not None and self.bias_k is None
    if not plain or self.add_zero_attn or need_weights or key_padding_mask is not None or others.get("is_causal"):
        return _multi_head(self, query, key, value, key_padding_mask, need_weights, attn_mask, **others)
    q, k, v = (
        projected.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
        for projected in _project(self, query, key, value)
    )
    if attn_mask is not None and attn_mask.dim() == 3:  # [N * heads, L, S]
        attn_mask = attn_mask.unflatten(0, (-1, self.num_heads))
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask)
    return self.out_proj(mixed.transpose(1, 2).flatten(2)), None


def _project(
    self: nn.MultiheadAttention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    if query is key and key is value:
        return functional.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
    biases = self.in_proj_bias.chunk(3) if self.in_proj_bias is not None else (None,) * 3
    pairs = zip((query, key, value), self.in_proj_weight.chunk(3), biases, strict=True)
    return tuple(functional.linear(x, weight, bias) for x, weight, bias in pairs)
