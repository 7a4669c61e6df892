"""A tower over 2 GB, more than one protobuf message may hold, is exported whole and in bounded memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from layer.openclip import open_clip
from layer.registry import parameter_count
from tests.hub.server import serving

ROOT = Path(__file__).parents[2]
VISION = {"image_size": 32, "layers": 11, "width": 2048, "patch_size": 8, "head_width": 128}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
CONFIG = {"embed_dim": 64, "vision_cfg": VISION, "text_cfg": TEXT}
# A small process of its own: the peak that the system tells of a child counts its parent's memory before the exec.
BUILD = """
import resource, subprocess, sys
status = subprocess.run([sys.executable, "-m", "layer", "build", *sys.argv[1:]], check=False).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(status)
"""


def random_weights(folder: Path) -> int:
    """A repository of the model; returns the bytes of its float32 weights."""
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}}))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    state = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return sum(4 * parameter.numel() for parameter in model.visual.parameters())


@pytest.mark.timeout(900)
def test_a_tower_over_2_gb_is_exported_within_two_and_a_half_times_its_weights(tmp_path: Path) -> None:
    weights = random_weights(tmp_path / "big")
    assert weights > 2**31
    (tmp_path / "models.toml").write_text('[[model]]\nname = "hf-hub:acme/big"\nengine = "onnx"\n')
    with serving() as hub:
        hub.add("acme/big", tmp_path / "big")
        places = {"models": "models.toml", "output": "bundle", "cache": "cache"}
        options = [word for name, place in places.items() for word in (f"--{name}", str(tmp_path / place))]
        environ = {"PATH": os.environ["PATH"], "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        environ["PYTHONPATH"] = str(ROOT)
        run = subprocess.run(
            [sys.executable, "-c", BUILD, *options], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
    for large in tmp_path.rglob("*.safetensors"):
        large.unlink()

    assert run.returncode == 0, run.stderr
    [entry] = json.loads((tmp_path / "bundle" / "manifest.json").read_text())["models"]
    assert entry["export"]["parity"]["min_image_cosine"] >= 0.999
    assert int(run.stdout.split()[-1]) <= 2.5 * weights, run.stdout
    estimated = parameter_count.count_config(CONFIG, {})["bytes"]["int8"]
    built = [path for path in tmp_path.glob("bundle/models/*/onnx/*") if path.name != "tokenizer.json"]
    assert 0.99 * estimated <= sum(path.stat().st_size for path in built) <= 1.01 * estimated
