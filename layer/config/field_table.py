"""Every field that open_clip reads of a model's config, with what a bundle makes of it.

The towers are exported from open_clip's own modules, so an architecture's field is exact by construction; what
preprocessing and tokenizers say is written to the manifest, and the handler does the same. A test takes the list of
fields from open_clip's source, so that a field of a later version is missing here by its name.
"""

from dataclasses import dataclass
from typing import Any

TOWER = "exported"  # part of open_clip's module, which is exported as it is
MANIFEST = "manifest"  # written to the manifest for the handler
NO_EFFECT = "no effect"  # on an embedding
REFUSED = "refused"  # with the reason and what to write instead


@dataclass(frozen=True)
class Field:
    """One field: `kind` is what its value may be, `most` the largest sensible number, `why` a refusal's reason."""

    treatment: str
    kind: str = "any"
    most: float = 0
    why: str = ""


def _tower(kind: str, most: float = 0) -> Field:
    return Field(TOWER, kind, most)


_MASK = (
    "it picks at random which tokens of a long text to keep, so that one text has several embeddings: remove it, "
    "and long texts are cut at their end"
)
_BLOCK = {
    **dict.fromkeys(("qk_norm", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"), _tower("bool")),
    "scaled_cosine_attn": Field(REFUSED, "bool", why="open_clip's own attention fails with it: it was not in training"),
}
_TRANSFORMER = {
    "width": _tower("count", 65_536),
    "mlp_ratio": _tower("number", 64),
    "ls_init_value": _tower("number", 1e6),
    "block_type": _tower("text"),
    "act_kwargs": _tower("table"),
    "norm_kwargs": _tower("table"),
    "output_tokens": _tower("bool"),
    "pool_type": _tower("text"),
    **_BLOCK,
}
MODEL = {
    "embed_dim": _tower("count", 65_536),
    "vision_cfg": _tower("table"),
    "text_cfg": _tower("table"),
    "multimodal_cfg": _tower("table"),
    "custom_text": _tower("bool"),
    "quick_gelu": _tower("bool"),
    "init_logit_scale": Field(NO_EFFECT, "any number"),  # the checkpoint has its own
    "init_logit_bias": Field(NO_EFFECT, "any number"),  # the checkpoint has its own, or is refused
    "nonscalar_logit_scale": _tower("bool"),
    "output_dict": Field(NO_EFFECT, "bool"),
    "pad_id": Field(NO_EFFECT, "any number"),  # of CoCa's captions
    "cast_dtype": Field(REFUSED, why="open_clip sets it itself: remove it"),
}
VISION = {
    **_TRANSFORMER,
    "layers": _tower("layers", 512),
    "head_width": _tower("count", 65_536),
    "patch_size": _tower("size", 8_192),
    "image_size": _tower("size", 8_192),
    "patch_dropout": Field(NO_EFFECT, "number", 1),  # of training alone, as the two dropouts below
    "attentional_pool": _tower("any"),  # true, or the name of a kind
    "attn_pooler_queries": _tower("count", 65_536),
    "attn_pooler_heads": _tower("count", 4_096),
    "no_ln_pre": _tower("bool"),
    "pos_embed_type": _tower("text"),
    "final_ln_after_pool": _tower("bool"),
    "timm_model_name": _tower("text"),
    "timm_model_pretrained": Field(NO_EFFECT, "bool"),  # open_clip turns it off where there is a checkpoint
    "timm_pool": _tower("text"),
    "timm_proj": _tower("text"),
    "timm_proj_bias": _tower("bool"),
    "timm_drop": Field(NO_EFFECT, "number", 1),
    "timm_drop_path": Field(NO_EFFECT, "number", 1),
}
TEXT = {
    **_TRANSFORMER,
    "context_length": Field(MANIFEST, "count", 8_192),
    "vocab_size": _tower("count", 4_000_000),
    "hf_tokenizer_name": Field(MANIFEST, "text"),
    "tokenizer_mode": Field(MANIFEST, "text"),
    "tokenizer_kwargs": Field(MANIFEST, "table"),
    "heads": _tower("count", 4_096),
    "layers": _tower("count", 512),
    "embed_cls": _tower("bool"),
    "pad_id": _tower("any number"),
    "eos_id": _tower("any number"),
    "no_causal_mask": _tower("bool"),
    "final_ln_after_pool": Field(REFUSED, "bool", why="open_clip does not hand it to a text tower: set it to false"),
    "proj_bias": _tower("bool"),
    "proj_type": _tower("text"),
    "hf_model_name": _tower("text"),
    "hf_model_pretrained": Field(NO_EFFECT, "bool"),  # open_clip turns it off where there is a checkpoint
    "hf_proj_type": _tower("text"),
    "hf_pooler_type": _tower("text"),
}
MULTIMODAL = {
    **TEXT,
    "dim_head": Field(NO_EFFECT, "count", 65_536),
    "n_queries": Field(NO_EFFECT, "count", 65_536),
    "attn_pooler_heads": Field(NO_EFFECT, "count", 4_096),
}
PREPROCESS = {
    "size": Field(MANIFEST, "size", 8_192),
    "mode": Field(MANIFEST, "text"),
    "mean": Field(MANIFEST, "channels"),
    "std": Field(MANIFEST, "channels"),
    "interpolation": Field(MANIFEST, "text"),
    "resize_mode": Field(MANIFEST, "text"),
    "fill_color": Field(MANIFEST, "level"),
}
# Of `tokenizer_kwargs`: open_clip's own tokenizer, and the wrapper of transformers' with what it hands on.
SIMPLE_TOKENIZER = {
    "additional_special_tokens": Field(MANIFEST, "texts"),
    "clean": Field(MANIFEST, "text"),
    "context_length": Field(REFUSED, why="open_clip takes it from text_cfg.context_length: write it there"),
    "bpe_path": Field(
        REFUSED, why="a path means nothing on another machine: use hf_tokenizer_name for an own vocabulary"
    ),
    "reduction_mask": Field(REFUSED, why=_MASK),
}
_THERE = "open_clip takes it from text_cfg: write it there"
HF_TOKENIZER = {
    "clean": Field(MANIFEST, "text"),
    "strip_sep_token": Field(MANIFEST, "bool"),
    "language": Field(
        REFUSED, why="transformers' tokenizers go back to src_lang at each call: write src_lang in its place"
    ),
    "context_length": Field(REFUSED, why=_THERE),
    "tokenizer_mode": Field(REFUSED, why=_THERE),
    "tokenizer_name": Field(REFUSED, why="open_clip takes it from text_cfg.hf_tokenizer_name: write it there"),
    "cache_dir": Field(REFUSED, why="a path means nothing on another machine: remove it"),
    **dict.fromkeys(
        ("padding_side", "truncation_side", "src_lang", "bos_token", "eos_token", "unk_token", "sep_token"),
        Field(MANIFEST, "text"),
    ),
    **dict.fromkeys(("pad_token", "cls_token", "mask_token"), Field(MANIFEST, "text")),
    **dict.fromkeys(
        ("use_fast", "legacy", "add_prefix_space", "add_bos_token", "add_eos_token", "do_lower_case"),
        Field(MANIFEST, "bool"),
    ),
    **dict.fromkeys(
        ("strip_accents", "tokenize_chinese_chars", "clean_up_tokenization_spaces"), Field(MANIFEST, "bool")
    ),
    "additional_special_tokens": Field(MANIFEST, "texts"),
    "model_max_length": Field(NO_EFFECT, "count", 1e31),  # open_clip gives its own length with each call
    "extra_ids": Field(MANIFEST, "any number"),
}
CHOICES: dict[str, tuple[Any, ...]] = {
    "vision_cfg.pool_type": ("tok", "avg"),
    "vision_cfg.block_type": ("default", "custom"),
    "vision_cfg.pos_embed_type": ("learnable", "sin_cos_2d"),
    "text_cfg.pool_type": ("first", "last", "argmax", "eos"),
    "text_cfg.block_type": ("default", "custom"),
    "text_cfg.tokenizer_mode": ("", "clips"),
    "tokenizer_kwargs.clean": ("whitespace", "lower", "canonicalize"),
    "tokenizer_kwargs.padding_side": ("left", "right"),
    "tokenizer_kwargs.truncation_side": ("left", "right"),
    "preprocess_cfg.mode": ("RGB",),
    "preprocess_cfg.interpolation": ("bicubic", "bilinear", "random"),
    "preprocess_cfg.resize_mode": ("shortest", "longest", "squash"),
}
