"""A prepared cache becomes an image's tree, and that tree a function: the founding example's family, made small."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from layer.bundle import sandbox
from tests.families.families import Family
from tests.families.repositories import serve
from tests.families.test_prepared import OPEN_CLIP, TEXTS, cosines
from tests.hub import prepared
from tests.hub.builder import ROOT, Builder
from tests.hub.server import serving
from tests.local.emulator import running

# The tokenizer is in a repository beside the weights'. True size: tests/families/test_prepared.py.
SMALL = Family(
    "SigLIP i18n",
    "",
    "ViT-B-16-SigLIP-i18n-256",
    shrunk={
        "text_cfg.layers": 2,
        "text_cfg.width": 128,
        "text_cfg.heads": 2,
        "text_cfg.vocab_size": 4_000,
        "vision_cfg.timm_model_name": "vit_tiny_patch16_224",
        "vision_cfg.timm_pool": "avg",
        "vision_cfg.timm_proj": "linear",
        "vision_cfg.image_size": 224,
    },
)
NAME = f"hf-hub:acme/{SMALL.model}"
SPEC = f'[target]\npackage = "image"\n[[model]]\nname = "{NAME}"\nengine = "onnx"\nprecision = "fp32"\n'


def test_an_image_from_a_prepared_cache_embeds_as_open_clip_does_with_that_cache(tmp_path: Path) -> None:
    with serving() as hub:
        serve(hub, SMALL, tmp_path / "hub")
        cache = prepared.by_open_clip(hub, tmp_path / "model_cache", NAME)
        assert {path.name for path in cache.glob("models--*")} == {
            "models--acme--ViT-B-16-SigLIP-i18n-256",
            "models--timm--ViT-B-16-SigLIP-i18n-256",
        }
    builder = Builder(tmp_path / "work", hub, offline=True)
    run = builder.run(SPEC, "--from", str(cache))
    assert run.returncode == 0, run.stderr
    output = tmp_path / "out"
    command = ["package", "--bundle", str(builder.bundle), "--output", str(output), "--cache", str(builder.root / "c")]
    packaged = subprocess.run(
        [sys.executable, "-m", "layer", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert packaged.returncode == 0, packaged.stderr

    image = output / "image"
    with running(image / "bundle", tmp_path / "function", {}, image) as function:
        found = [row["embedding"] for row in function.invoke({"input": [*TEXTS, {"image": drawn(tmp_path)}]})["data"]]

    assert min(cosines(found, by_open_clip(cache, tmp_path))) >= 0.99999


def drawn(folder: Path) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    (folder / "image.png").write_bytes(buffer.getvalue())
    return base64.b64encode(buffer.getvalue()).decode()


def by_open_clip(cache: Path, folder: Path) -> Any:
    run = sandbox.run_with_hub(cache, ["-c", OPEN_CLIP, NAME, "", json.dumps(TEXTS), str(folder / "image.png")])
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
