"""The two towers of an OpenCLIP model as torch modules with one input and one output, for the exporter."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from layer.export.last_block import PooledTower, PooledTransformer

_POOLS_AT_END = ("argmax", "eos")


class ImageTower(nn.Module):
    """Pixels, float32 [N, 3, H, W], to embeddings, float32 [N, D]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.pooled = PooledTower(model.visual)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels; not normalized."""
        with self.pooled.one_token():
            embedding: torch.Tensor = self.model.encode_image(pixels)
        return embedding


class TextTower(nn.Module):
    """Token ids, int64 [N, context_length], to embeddings, float32 [N, D]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.pooled = PooledTower(_text_part(model))
        inner = getattr(getattr(model, "text", None), "transformer", None)
        if inner is not None and hasattr(inner, "set_attn_implementation"):
            # A tower of transformers: its fused attention leaves strides that the exporter cannot handle (mT5, NLLB).
            inner.set_attn_implementation("eager")

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed token ids; not normalized."""
        with self.pooled.one_token():
            embedding: torch.Tensor = self.model.encode_text(ids)
        return embedding


class CausalTextTower(nn.Module):
    """A text tower in which no token attends to later ones: a row of its input may hold several texts.

    Texts in one row do not see each other, and padding stands after all of them. handler/engines/packed_texts.py makes
    the inputs; `inputs_of` makes those of one text a row.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.text = _text_part(model)
        self.transformer = PooledTransformer(self.text.transformer)

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, ends: torch.Tensor
    ) -> torch.Tensor:
        """Embed the texts of token ids [B, L] whose end is at `ends` [B, K], as [B, K, D]; not normalized.

        `positions` [B, L] are within the token's own text, `ends` are places in all B * L tokens, and `mask`
        [B, 1, L, L] is added to the scores.
        """
        part = self.text
        x = part.token_embedding(ids) + functional.embedding(positions, part.positional_embedding)
        x = part.ln_final(self.transformer(x, mask, ends))
        if isinstance(part.text_projection, nn.Linear):
            x = part.text_projection(x)
        elif part.text_projection is not None:
            x = x @ part.text_projection
        embedding: torch.Tensor = x
        return embedding


def inputs_of(ids: torch.Tensor, end: int | None) -> dict[str, torch.Tensor]:
    """Return the inputs of a causal text tower for ids [N, L], one text a row; `end` as `end_id` returns it."""
    count, length = ids.shape
    ends = ids.argmax(dim=-1) if end is None else torch.eq(ids, end).int().argmax(dim=-1)
    return {
        "ids": ids,
        "positions": torch.arange(length).expand(count, length),
        "mask": torch.full((length, length), -torch.inf).triu(1).expand(count, 1, length, length),
        "ends": (torch.arange(count) * length + ends).unsqueeze(1),
    }


def is_causal(model: Any) -> bool:
    """Tell whether padding after the end-of-text token does not affect the embedding, and can be cut off."""
    part = _text_part(model)
    return (
        getattr(part, "attn_mask", None) is not None
        and getattr(part, "cls_emb", None) is None
        and not getattr(part, "use_pad_mask", False)
        and (getattr(part, "text_pool_type", None) or getattr(part, "pool_type", None)) in _POOLS_AT_END
    )


def _text_part(model: Any) -> Any:
    """Return the module with the text tower: the model itself (CLIP), or its `text` (CustomTextCLIP and others)."""
    return model if hasattr(model, "token_embedding") else model.text


def end_id(model: Any) -> int | None:
    """Return the end-of-text token of a tower that pools at it; None where it is the highest id of each text."""
    part = _text_part(model)
    if (getattr(part, "text_pool_type", None) or getattr(part, "pool_type", None)) != "eos":
        return None
    return int(getattr(part, "text_eos_id", None) or part.eos_id)
