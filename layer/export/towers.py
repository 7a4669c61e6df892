"""The two towers of an OpenCLIP model as torch modules with one input and one output, for the exporter."""

from typing import Any

import torch
from torch import nn

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
    """A text tower in which no token attends to later ones. Its ids, int64 [N, L], may be cut after the last end token.

    open_clip's own forward refuses a shorter input, so this one slices the positional embedding and the mask.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.text = _text_part(model)
        self.transformer = PooledTransformer(self.text.transformer)
        self.eos = end_id(model)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed token ids; not normalized."""
        length = ids.shape[1]
        part = self.text
        x = part.token_embedding(ids) + part.positional_embedding[:length]
        end = ids.argmax(dim=-1) if self.eos is None else torch.eq(ids, self.eos).int().argmax(dim=-1)
        x = part.ln_final(self.transformer(x, part.attn_mask[:length, :length], end)).squeeze(1)
        if isinstance(part.text_projection, nn.Linear):
            x = part.text_projection(x)
        elif part.text_projection is not None:
            x = x @ part.text_projection
        embedding: torch.Tensor = x
        return embedding


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
