"""open_clip's weights of a SigLIP model, a timm image tower with attention pooling, by transformers' names."""

import json
import string
from pathlib import Path
from typing import Any

# open_clip's or timm's name of a part, and transformers'
IMAGE_BLOCK = (
    ("attn.proj", "self_attn.out_proj"),
    ("norm1", "layer_norm1"),
    ("norm2", "layer_norm2"),
    ("mlp.fc1", "mlp.fc1"),
    ("mlp.fc2", "mlp.fc2"),
)
TEXT_BLOCK = (
    ("attn.out_proj", "self_attn.out_proj"),
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
)
POOLING = (("norm", "layernorm"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2"), ("proj", "attention.out_proj"))


def model(loaded: Any) -> Any:
    """Return a SiglipModel without weights of the shape that a model of open_clip has, both with exact GELU."""
    from transformers import SiglipConfig, SiglipModel

    text, image = loaded.text, loaded.visual.trunk
    common = {"hidden_act": "gelu", "layer_norm_eps": 1e-6}
    table = text.token_embedding.weight
    text_config = {
        **common,
        "vocab_size": table.shape[0],
        "hidden_size": table.shape[1],
        "projection_size": text.text_projection.out_features,
        "intermediate_size": text.transformer.resblocks[0].mlp.c_fc.out_features,
        "num_hidden_layers": len(text.transformer.resblocks),
        "num_attention_heads": text.transformer.resblocks[0].attn.num_heads,
        "max_position_embeddings": text.positional_embedding.shape[0],
    }
    vision_config = {
        **common,
        "hidden_size": image.embed_dim,
        "intermediate_size": image.blocks[0].mlp.fc1.out_features,
        "num_hidden_layers": len(image.blocks),
        "num_attention_heads": image.blocks[0].attn.num_heads,
        "image_size": image.patch_embed.img_size[0],
        "patch_size": image.patch_embed.patch_size[0],
    }
    return SiglipModel(SiglipConfig(text_config=text_config, vision_config=vision_config))


def renamed(state: dict[str, Any], layers: int = 12) -> dict[str, Any]:
    """Return the weights by transformers' names: q, k and v of a block apart, those of the pooling together."""
    import torch

    new = {name: state[name].reshape(1) for name in ("logit_scale", "logit_bias")}
    new["vision_model.embeddings.position_embedding.weight"] = state["visual.trunk.pos_embed"][0]
    new["vision_model.head.probe"] = state["visual.trunk.attn_pool.latent"]
    new["text_model.embeddings.token_embedding.weight"] = state["text.token_embedding.weight"]
    new["text_model.embeddings.position_embedding.weight"] = state["text.positional_embedding"]
    for kind in ("weight", "bias"):
        for old, to in (
            ("visual.trunk.patch_embed.proj", "vision_model.embeddings.patch_embedding"),
            ("visual.trunk.norm", "vision_model.post_layernorm"),
            ("text.ln_final", "text_model.final_layer_norm"),
            ("text.text_projection", "text_model.head"),
            *((f"visual.trunk.attn_pool.{old}", f"vision_model.head.{to}") for old, to in POOLING),
        ):
            new[f"{to}.{kind}"] = state[f"{old}.{kind}"]
        pool = "visual.trunk.attn_pool"
        queries = [state[f"{pool}.{name}.{kind}"] for name in ("q", "kv")]
        new[f"vision_model.head.attention.in_proj_{kind}"] = torch.cat(queries)
        for layer in range(layers):
            image = f"visual.trunk.blocks.{layer}", f"vision_model.encoder.layers.{layer}"
            text = f"text.transformer.resblocks.{layer}", f"text_model.encoder.layers.{layer}"
            new |= _block(state, *image, f"attn.qkv.{kind}", IMAGE_BLOCK, kind)
            new |= _block(state, *text, f"attn.in_proj_{kind}", TEXT_BLOCK, kind)
    return new


def _block(
    state: dict[str, Any], old: str, to: str, together: str, names: tuple[tuple[str, str], ...], kind: str
) -> dict[str, Any]:
    parts = zip("qkv", state[f"{old}.{together}"].chunk(3), strict=True)
    new = {f"{to}.self_attn.{name}_proj.{kind}": part for name, part in parts}
    return new | {f"{to}.{after}.{kind}": state[f"{old}.{before}.{kind}"] for before, after in names}


def write_processor(loaded: Any, folder: Path) -> None:
    """Write the tokenizer, which cleans texts as open_clip does before it, and how images are prepared."""
    from tokenizers import Regex, normalizers

    fast = loaded.tokenizer.tokenizer
    punctuation = string.punctuation.replace("_", "")
    cleaning = [
        normalizers.Replace("_", " "),
        normalizers.Replace(Regex("[" + "".join(f"\\{sign}" for sign in punctuation) + "]"), ""),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    before = fast.backend_tokenizer.normalizer
    fast.backend_tokenizer.normalizer = normalizers.Sequence([*cleaning, *([before] if before else [])])
    fast.save_pretrained(folder)
    fast.backend_tokenizer.normalizer = before
    side = loaded.model.visual.trunk.patch_embed.img_size[0]
    content = {
        "image_processor_type": "SiglipImageProcessor",
        "processor_class": "SiglipProcessor",
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
