"""Ids of the hub's repositories, told from the paths and addresses that stand in their place in configs."""

import re

from layer.naming import addresses

_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
CHECKPOINTS = (".pt", ".pth", ".bin", ".safetensors", ".ckpt")  # endings that no repository has
# transformers' repositories of weights that open_clip has too, in repositories of its own form.
OF_TRANSFORMERS = {
    "openai/clip-vit-base-patch32": "timm/vit_base_patch32_clip_224.openai",
    "openai/clip-vit-base-patch16": "timm/vit_base_patch16_clip_224.openai",
    "openai/clip-vit-large-patch14": "timm/vit_large_patch14_clip_224.openai",
    "openai/clip-vit-large-patch14-336": "timm/vit_large_patch14_clip_336.openai",
    "google/siglip-base-patch16-224": "timm/ViT-B-16-SigLIP",
    "google/siglip-base-patch16-256": "timm/ViT-B-16-SigLIP-256",
    "google/siglip-base-patch16-384": "timm/ViT-B-16-SigLIP-384",
    "google/siglip-base-patch16-512": "timm/ViT-B-16-SigLIP-512",
    "google/siglip-large-patch16-256": "timm/ViT-L-16-SigLIP-256",
    "google/siglip-large-patch16-384": "timm/ViT-L-16-SigLIP-384",
    "google/siglip-so400m-patch14-384": "timm/ViT-SO400M-14-SigLIP-384",
    "google/siglip-base-patch16-256-multilingual": "timm/ViT-B-16-SigLIP-i18n-256",
    "google/siglip2-base-patch16-224": "timm/ViT-B-16-SigLIP2",
    "google/siglip2-base-patch16-256": "timm/ViT-B-16-SigLIP2-256",
    "google/siglip2-base-patch16-384": "timm/ViT-B-16-SigLIP2-384",
    "google/siglip2-large-patch16-256": "timm/ViT-L-16-SigLIP2-256",
    "google/siglip2-so400m-patch14-384": "timm/ViT-SO400M-14-SigLIP2-378",
    "google/siglip2-so400m-patch16-256": "timm/ViT-SO400M-16-SigLIP2-256",
}


def no_repository(name: str) -> str | None:
    """Say why a field of a config cannot be the id of a repository, and what to write; None for an id."""
    if looks_like_a_path(name):
        return (
            "is a path of the machine that it was trained on: write the id of the repository on the hub, or download "
            "the repository and build it by `checkpoint`, with these files beside the config"
        )
    if addresses.is_of_hub(name) or "://" in name or name.startswith(("hf-hub:", "local-dir:")):
        return "is not an id of a repository: write <org>/<name>, without a prefix or an address"
    if not _ID.fullmatch(name) or ".." in name or "--" in name or len(name) > 96:
        return "is not an id of a repository: write <org>/<name>"
    return None


def looks_like_a_path(text: str) -> bool:
    """Tell a file system's path, of any system, from a name."""
    return (
        text.startswith(("/", "~", ".", "\\", "file:"))
        or "\\" in text
        or re.match(r"[A-Za-z]:($|[\\/])", text) is not None
        or text.endswith(("/", *CHECKPOINTS))
        or ".." in text.split("/")
    )
