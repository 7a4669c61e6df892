"""A family's repositories for the local hub: random weights of its architecture, tokenizer and text tower's config."""

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from layer.openclip import open_clip
from layer.registry import meta_model, parameter_count
from layer.sources import resolve
from layer.spec import ModelSpec
from tests.families.families import BIOMED_BERT, TOKENIZERS, Family
from tests.hub.server import Hub


def serve(hub: Hub, family: Family, root: Path, quick: bool = False) -> tuple[str, int]:
    """Put the family's repositories on the hub; returns the model's lines for models.toml, and its parameters.

    `quick` shrinks every tower to two layers, where its config says how many it has.
    """
    config = _config(family, quick)
    text = config["text_cfg"]
    towers = json.loads(parameter_count.TEXT_TOWERS.read_text())
    towers |= {text.get("hf_model_name"): _tower(family, text, quick)}
    if family.tag and not quick:
        [weights] = [need for need in resolve.source_plan(ModelSpec(family.model, family.tag)).needs if need.weights]
        repo, name = weights.repo, weights.weights[0]
        spec = f'name = "{family.model}"\npretrained = "{family.tag}"'
    else:
        repo, name, spec = f"acme/{family.model}", resolve.DEFAULT_WEIGHTS[0], f'name = "hf-hub:acme/{family.model}"'
    folder = root / repo.replace("/", "--")
    folder.mkdir(parents=True)
    (folder / resolve.CONFIG_FILE).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    with meta_model.text_towers_known(towers):
        parameters = _random_weights(folder, name)
    hub.add(repo, folder)
    for other in {text.get("hf_tokenizer_name"), text.get("hf_model_name")} - {None, repo}:
        place = TOKENIZERS[other](root / other.replace("/", "--"))
        if other == text.get("hf_model_name"):
            (place / "config.json").write_text(json.dumps(towers[other]))
        hub.add(other, place)
    if text.get("hf_tokenizer_name") == repo:
        TOKENIZERS[repo](folder)
    return spec, parameters


def third_repository(hub: Hub, root: Path, family: Family) -> None:
    """A model whose tokenizer and text tower's config lie in two repositories beside its own."""
    serve(hub, family, root)
    towers = hub.repositories["roberta-base"].folder
    words = root / "words"
    words.mkdir()
    for path in [path for path in towers.iterdir() if path.name != "config.json"]:
        shutil.move(path, words / path.name)
    hub.add("acme/words", words)
    config = hub.repositories["acme/roberta-ViT-B-32"].folder / "open_clip_config.json"
    config.write_text(
        config.read_text().replace('"hf_tokenizer_name": "roberta-base"', '"hf_tokenizer_name": "acme/words"')
    )


def _config(family: Family, quick: bool) -> dict[str, Any]:
    config: dict[str, Any] = deepcopy(family.config or open_clip.get_model_config(family.model))
    for path, value in family.shrunk.items():
        section, key = path.split(".")
        config[section][key] = value
    for section in ("vision_cfg", "text_cfg", "multimodal_cfg") if quick else ():
        layers = config.get(section, {}).get("layers")
        if layers is not None:  # a ResNet has four numbers
            config[section]["layers"] = [1, 1, 1, 1] if isinstance(layers, list) else 2
    return config


def _tower(family: Family, text: dict[str, Any], quick: bool) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(parameter_count.TEXT_TOWERS.read_text())
    layers = ("num_hidden_layers", "num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers")
    tower = {**known.get(text.get("hf_model_name", ""), BIOMED_BERT), **family.tower}
    return tower | ({name: 2 for name in layers if name in tower or name == layers[0]} if quick else {})


def _random_weights(folder: Path, name: str) -> int:
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    state = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
    save_file(state, folder / name, metadata={"format": "pt"})
    return sum(tensor.numel() for tensor in state.values())
