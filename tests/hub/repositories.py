"""Repositories for the local hub: true architectures with random weights, and tokenizers made here."""

import json
import shutil
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "layer" / "demo" / "hub" / "models--openclip-lambda--shapes-i18n"
TOKENIZER_NAMES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def tiny_model(folder: Path, tokenizer_repo: str) -> Path:
    """The demo model's weights, in a repository whose config takes the tokenizer from another one."""
    snapshot = demo_snapshot()
    folder.mkdir(parents=True)
    shutil.copy(snapshot / "open_clip_model.safetensors", folder)
    config = json.loads((snapshot / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = tokenizer_repo
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text("not needed")
    (folder / "flax_model.msgpack").write_text("not needed either")
    return folder


def tokenizer_without_config(folder: Path) -> Path:
    """The demo model's tokenizer, in a repository that has no config.json, as timm's SigLIP ones have none."""
    folder.mkdir(parents=True)
    for name in TOKENIZER_NAMES:
        shutil.copy(demo_snapshot() / name, folder)
    return folder


def demo_snapshot() -> Path:
    return DEMO / "snapshots" / (DEMO / "refs" / "main").read_text()


def random_weights(folder: Path, name: str, seed: int = 0) -> Path:
    """The architecture that open_clip's registry calls `name`, with random weights, as its repository keeps it."""
    import torch
    from safetensors.torch import save_file

    from layer.openclip import open_clip

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = open_clip.create_model(name)
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return folder


def pad(weights: Path, size: int) -> None:
    """Make a safetensors file larger, by its metadata, so that a download has a middle."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(weights, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    save_file(tensors, weights, metadata={"padding": "x" * size})


def t5_tokenizer(folder: Path, size: int = 32_000) -> Path:
    """A Unigram tokenizer of T5's class with `size` pieces: characters of several scripts, and syllables."""
    letters = [chr(code) for code in (*range(33, 127), *range(0xC0, 0x180), *range(0x391, 0x3CA), *range(0x410, 0x450))]
    letters += [chr(code) for code in range(0x4E00, 0x5600)]
    syllables = (f"{a}{b}{c}{d}" for a in "▁bdfgklmnprst" for b in "aeiou" for c in "bcdfglmnprstvz" for d in "aeiouy ")
    pieces = ["</s>", "<unk>", "▁", *letters]
    pieces += [word for word in dict.fromkeys(syllable.strip() for syllable in syllables) if word not in pieces]
    pieces += [f"▁w{number}" for number in range(size - len(pieces))]
    scores = [(piece, 0.0 if rank < 2 else -5.0 - rank / size) for rank, piece in enumerate(pieces[:size])]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=1, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    return folder


def small_clip(folder: Path, image_width: int = 64, /, **text: object) -> Path:
    """A CLIP model of two narrow layers a tower, with random weights; `text` changes its text tower's config."""
    import torch
    from safetensors.torch import save_file

    from layer.openclip import open_clip

    folder.mkdir(parents=True)
    custom = bool(text.pop("custom_text", False))
    config = {
        "embed_dim": 64,
        "custom_text": custom,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": image_width, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2, **text},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.manual_seed(len(text))
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return folder
