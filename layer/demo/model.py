"""The demo model's files: its architecture is the anatomy of ViT-B-16-SigLIP-i18n-256, in small."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from layer.demo import tokenizer
from layer.demo.shapes import SIZE
from layer.openclip import open_clip

REPOSITORY = "openclip-lambda/shapes-i18n"


def write_untrained(folder: Path) -> None:
    """Write the tokenizer and open_clip_config.json: all of the model but its weights."""
    tokenizer.save(folder)
    content = {"model_cfg": _architecture(tokenizer.build().get_vocab_size()), "preprocess_cfg": _preprocessing()}
    (folder / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def new_model(folder: Path) -> torch.nn.Module:
    """Return the model that `folder` describes with random weights, and the logit scale SigLIP starts with."""
    model: torch.nn.Module = open_clip.create_model(
        f"local-dir:{folder}", load_weights=False, init_logit_scale=math.log(10)
    )
    return model


def write_weights(folder: Path, model: torch.nn.Module) -> None:
    """Write the weights beside the configuration."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors", metadata={"format": "pt"})


def _architecture(vocabulary: int) -> dict[str, Any]:
    vision = {
        "image_size": SIZE,
        "timm_model_name": "test_resnet",  # learns in minutes what a plain ViT of its size does not
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
    }
    text = {
        "context_length": tokenizer.CONTEXT_LENGTH,
        "vocab_size": vocabulary,
        "hf_tokenizer_name": REPOSITORY,
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 64,
        "heads": 4,
        "layers": 3,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
    }
    return {"embed_dim": 64, "init_logit_bias": -10, "custom_text": True, "vision_cfg": vision, "text_cfg": text}


def _preprocessing() -> dict[str, Any]:
    return {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
