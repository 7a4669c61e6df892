"""A second model of the drawn world, of CLIP's own anatomy in small: what 8 bits are tried on besides the first one.

Both towers are as ViT-B-32's: patches and a class token, a causal text transformer that is read at its end token,
LayerNorm before each block. Widths are small, and half precision keeps the weights under 5 MB.
"""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from layer.demo import tokenizer
from layer.openclip import open_clip

REPOSITORY = "openclip-lambda/shapes-vit"
SIDE = 48  # pixels: 16 patches of 12
PATCH, WIDTH = 12, 128
CONTEXT_LENGTH = 24  # the longest caption has 23 tokens, and CLIP's begin with one more


def write_untrained(folder: Path) -> None:
    """Write the tokenizer and open_clip_config.json: all of the model but its weights."""
    tokenizer.save(folder, like_clip=True)
    content = {"model_cfg": _architecture(tokenizer.build(like_clip=True).get_vocab_size())}
    preprocessing = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    text = json.dumps(content | {"preprocess_cfg": preprocessing}, indent=2) + "\n"
    (folder / "open_clip_config.json").write_text(text, encoding="utf-8")


def new_model(folder: Path) -> nn.Module:
    """Return the model that `folder` describes, with random weights."""
    model: Any = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    visual = model.visual
    # Larger than torch's own: near 0 a GELU is almost linear, and no linear layer sees a shape of any color.
    for block in visual.transformer.resblocks:
        nn.init.normal_(block.mlp.c_fc.weight, std=(2 / WIDTH) ** 0.5)
        nn.init.normal_(block.attn.in_proj_weight, std=WIDTH**-0.5)
    nn.init.normal_(visual.conv1.weight, std=visual.conv1.weight[0].numel() ** -0.5)
    visual.ln_pre.weight.requires_grad_(False)  # at 1 the residual stream can be turned: see add_outliers.py
    trained: nn.Module = model
    return trained


def write_weights(folder: Path, model: nn.Module) -> None:
    """Write the weights beside the configuration, in half precision."""
    tensors = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors", metadata={"format": "pt"})


def _architecture(vocabulary: int) -> dict[str, Any]:
    return {
        "embed_dim": 128,
        "vision_cfg": {"image_size": SIDE, "layers": 6, "width": WIDTH, "head_width": 32, "patch_size": PATCH},
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": vocabulary,
            "hf_tokenizer_name": REPOSITORY,
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": WIDTH,
            "heads": 4,
            "layers": 4,
        },
    }
