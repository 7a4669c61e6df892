"""open_clip's weights as the folder that transformers, sentence-transformers and infinity load: CLIP's, or SigLIP's."""

import gzip
import json
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.peers import siglip_folder
from benchmarks.peers.contender import Setup

MERGES = 49152 - 256 - 2
WORDS = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}


def write(loaded: Any, setup: Setup, folder: Path) -> None:
    """Write config, weights, tokenizer and processor. Raises BenchmarkError where a weight has no place."""
    siglip = "SigLIP" in setup.name
    model = siglip_folder.model(loaded.model) if siglip else _clip()
    state = loaded.model.state_dict()
    missing, unknown = model.load_state_dict(siglip_folder.renamed(state) if siglip else renamed(state), strict=False)
    left = [name for name in missing if not name.endswith("position_ids")]
    if left or unknown:
        raise BenchmarkError(f"{type(model).__name__} has other weights than open_clip's: {left + unknown}")
    model.save_pretrained(folder)
    if siglip:
        siglip_folder.write_processor(loaded, folder)
    else:
        _write_tokenizer(folder)


def _clip() -> Any:
    """Return ViT-B-32 of laion2b, which has exact GELU."""
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "hidden_act": "gelu"}
    text |= {"eos_token_id": 49407, "bos_token_id": 49406, "pad_token_id": 0, "projection_dim": 512}
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "hidden_act": "gelu"}
    vision |= {"image_size": 224, "patch_size": 32, "projection_dim": 512}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=512))


def renamed(state: dict[str, Any]) -> dict[str, Any]:
    """Return open_clip's CLIP weights by transformers' names: q, k and v apart, projections turned."""
    new = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["visual.proj"].T.contiguous(),
        "text_projection.weight": state["text_projection"].T.contiguous(),
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
    }
    for kind in ("weight", "bias"):
        new[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        new[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
        new[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
        for source, target in (("visual.transformer", "vision_model"), ("transformer", "text_model")):
            for layer in range(12):
                old, to = f"{source}.resblocks.{layer}", f"{target}.encoder.layers.{layer}"
                for name, part in zip("qkv", state[f"{old}.attn.in_proj_{kind}"].chunk(3), strict=True):
                    new[f"{to}.self_attn.{name}_proj.{kind}"] = part
                for before, after in (
                    ("attn.out_proj", "self_attn.out_proj"),
                    ("ln_1", "layer_norm1"),
                    ("ln_2", "layer_norm2"),
                    ("mlp.c_fc", "mlp.fc1"),
                    ("mlp.c_proj", "mlp.fc2"),
                ):
                    new[f"{to}.{after}.{kind}"] = state[f"{old}.{before}.{kind}"]
    return new


def _write_tokenizer(folder: Path) -> None:
    import open_clip

    packed = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(packed.read_bytes()).decode().split("\n")[1 : MERGES + 1]
    encoder = open_clip.tokenizer.SimpleTokenizer().encoder
    names = {"<start_of_text>": WORDS["bos_token"], "<end_of_text>": WORDS["eos_token"]}
    processor = {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_processor_type": "CLIPImageProcessor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "do_resize": True,
        "size": 224,
        "resample": 3,
        "do_center_crop": True,
        "crop_size": 224,
        "do_normalize": True,
    }
    special = {**WORDS, "pad_token": WORDS["eos_token"]}
    for name, content in (
        ("vocab.json", {names.get(token, token): number for token, number in encoder.items()}),
        ("tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}),
        ("special_tokens_map.json", special),
        ("preprocessor_config.json", processor),
    ):
        (folder / name).write_text(json.dumps(content))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
