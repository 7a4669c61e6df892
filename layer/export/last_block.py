"""A transformer's last block for the one token that is pooled: nothing else of that block reaches the embedding.

Keys and values are of all tokens. The query, the output projection and the two layers behind it are of one: they are
ten twelfths of a block's products, and a fourteenth of those of twelve blocks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn import functional

from layer.openclip import open_clip

# Of the pooled tokens: the same in each sequence, or int64 [N, K], places in all N * L tokens.
Place = int | torch.Tensor


class PooledTransformer(nn.Module):
    """open_clip's `Transformer`, of which some tokens are asked for."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        blocks = list(transformer.resblocks)
        self.last = _LastBlock(blocks.pop()) if _is_plain(transformer) else None
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None, place: Place) -> torch.Tensor:
        """Return the tokens at `place` of `transformer(x, attn_mask)`: [N, L, W] to [N, K, W]."""
        for block in self.blocks:
            x = block(x, attn_mask=attn_mask)
        one: torch.Tensor = self.last(x, attn_mask, place) if self.last else _pick(x, place)
        return one


class _LastBlock(nn.Module):
    """open_clip's `ResidualAttentionBlock` with separate matrices: a graph would not store a slice as a matrix."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block
        attention = block.attn
        width, weights, biases = attention.embed_dim, attention.in_proj_weight, attention.in_proj_bias
        self.query = _linear(weights[:width], None if biases is None else biases[:width])
        self.keys_and_values = _linear(weights[width:], None if biases is None else biases[width:])

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None, place: Place) -> torch.Tensor:
        block, heads = self.block, (self.block.attn.num_heads, self.block.attn.head_dim)
        one = _pick(x, place)
        # The norm twice: a graph divides what enters a product by channel in the norm before it, if that has no other.
        keys, values = self.keys_and_values(block.ln_1(x)).chunk(2, dim=-1)
        query, keys, values = (
            part.unflatten(-1, heads).transpose(1, 2) for part in (self.query(block.ln_1(one)), keys, values)
        )
        mask = None if attn_mask is None else _row(attn_mask, place, heads[0])
        mixed = functional.scaled_dot_product_attention(query, keys, values, mask)
        one = one + block.ls_1(block.attn.out_proj(mixed.transpose(1, 2).flatten(2)))
        found: torch.Tensor = one + block.ls_2(block.mlp(block.ln_2(one)))
        return found


def _is_plain(transformer: Any) -> bool:
    """Tell whether the last block is one that `_LastBlock` computes."""
    return transformer.batch_first and type(transformer.resblocks[-1]) is open_clip.transformer.ResidualAttentionBlock


def _linear(weights: torch.Tensor, biases: torch.Tensor | None) -> nn.Linear:
    made = nn.Linear(weights.shape[1], weights.shape[0], bias=biases is not None, device="meta")
    made.weight = nn.Parameter(weights.detach().clone(), requires_grad=False)
    if biases is not None:
        made.bias = nn.Parameter(biases.detach().clone(), requires_grad=False)
    return made


def _pick(x: torch.Tensor, place: Place) -> torch.Tensor:
    """Return the pooled tokens of each sequence: [N, L, W] to [N, K, W]."""
    return x[:, place].unsqueeze(1) if isinstance(place, int) else functional.embedding(place, x.flatten(0, 1))


def _row(mask: torch.Tensor, place: Place, heads: int) -> torch.Tensor:
    """Return the mask of the pooled tokens: of [L, L], [N * heads, L, L] or [N, 1, L, L], as scores take it."""
    if not isinstance(place, int):
        return functional.embedding(place, mask.flatten(0, 2)).unsqueeze(1)
    if mask.dim() == 2:
        return mask[place].reshape(-1, 1, 1, mask.shape[1])
    found: torch.Tensor = mask[:, place].unflatten(0, (-1, heads)).unsqueeze(2)
    return found


class PooledTower(nn.Module):
    """Has `part`, the module of open_clip's with a tower's transformer and pooling, compute the pooled token alone."""

    def __init__(self, part: Any) -> None:
        super().__init__()
        self.part = part
        self.place = _pooled_place(part)
        self.pooled = None if self.place is None else PooledTransformer(part.transformer)

    @contextmanager
    def one_token(self) -> Iterator[None]:
        """Within this block the transformer returns what is pooled, [N, 1, W]; all tokens, where that is no token."""
        if self.pooled is None:
            yield
            return
        with mock.patch.object(self.part.transformer, "forward", self._forward):
            yield

    def _forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        assert self.pooled is not None  # noqa: S101 - `one_token` has seen it
        found: torch.Tensor = self.pooled(x, attn_mask, self.place)
        return found


def _pooled_place(part: Any) -> int | None:
    """Return where `part` pools one token, the same in each sequence; None where it does not."""
    if not isinstance(getattr(part, "transformer", None), open_clip.transformer.Transformer):
        return None
    if isinstance(part, open_clip.transformer.VisionTransformer):
        return 0 if part.pool_type == "tok" and part.attn_pool is None else None
    if getattr(part, "cls_emb", None) is not None:
        return -1
    pool = getattr(part, "text_pool_type", None) or getattr(part, "pool_type", None)
    return {"first": 0, "last": -1}.get(str(pool))
