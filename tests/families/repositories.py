"""A family's repositories for the local hub: random weights of its architecture, tokenizer and text tower's config."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from layer import census, plan
from layer.openclip import open_clip
from layer.spec import ModelSpec
from tests.families.families import BIOMED_BERT, BIOMED_CONFIG, BIOMEDCLIP, TOKENIZERS, Family
from tests.hub.server import Hub


def serve(hub: Hub, family: Family, root: Path) -> tuple[str, int]:
    """Put the family's repositories on the hub; returns the model's lines for models.toml, and its parameters."""
    config = _config(family)
    text = config["text_cfg"]
    towers = json.loads(census.TEXT_TOWERS.read_text()) | {text.get("hf_model_name"): _tower(family, text)}
    if family.tag:
        [weights] = [need for need in plan.source_plan(ModelSpec(family.model, family.tag)).needs if need.weights]
        repo, name = weights.repo, weights.weights[0]
        spec = f'name = "{family.model}"\npretrained = "{family.tag}"'
    else:
        repo, name, spec = f"acme/{family.model}", plan.DEFAULT_WEIGHTS[0], f'name = "hf-hub:acme/{family.model}"'
    folder = root / repo.replace("/", "--")
    folder.mkdir(parents=True)
    (folder / plan.CONFIG_FILE).write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    with census.text_towers_known(towers):
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


def _config(family: Family) -> dict[str, Any]:
    config: dict[str, Any] = BIOMED_CONFIG if family is BIOMEDCLIP else open_clip.get_model_config(family.model)
    for path, value in family.shrunk.items():
        section, key = path.split(".")
        config[section][key] = value
    return config


def _tower(family: Family, text: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(census.TEXT_TOWERS.read_text())
    return {**known.get(text.get("hf_model_name", ""), BIOMED_BERT), **family.tower}


def _random_weights(folder: Path, name: str) -> int:
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    state = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
    save_file(state, folder / name, metadata={"format": "pt"})
    return sum(tensor.numel() for tensor in state.values())
