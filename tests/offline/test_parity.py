"""Through the handler, offline, every embedding is open_clip's own: for the demo model and two true architectures."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layer.bundle import reference, sandbox
from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving

ROOT = Path(__file__).parents[2]
TEXTS = ["a dog", "ein Hund", "一只狗", "собака &lt;3", "It's <b>bold</b>, 100% 🐕!", "x" * 500, "a   b\t\nc", "_"]
MODELS = {
    "openclip-lambda/shapes-i18n": ("hf-hub:openclip-lambda/shapes-i18n", None),
    "ViT-B-32/laion2b_s34b_b79k": ("ViT-B-32", "laion2b_s34b_b79k"),
    "ViT-B-16-SigLIP/webli": ("ViT-B-16-SigLIP", "webli"),
}
# Run in a process without network, on the read-only bundle: a request through lambda_handler.
ASK = """
import json, sys
from handler.app import lambda_handler, SERVICE
request = json.load(open(sys.argv[1]))
answer = lambda_handler(request, None)
texts = [item for item in request["input"] if isinstance(item, str)]
ids = SERVICE.model(request["model"]).engine.tokenize(texts)
json.dump({"answer": answer, "ids": [list(map(int, row)) for row in ids]}, sys.stdout)
"""
# What open_clip itself says, in a process of its own, from the same cache.
REFERENCE = """
import json, sys, io, base64
import torch
from PIL import Image
from layer.openclip import open_clip
request = json.load(open(sys.argv[1]))
model, transform = open_clip.create_model_from_pretrained(request["name"], pretrained=request["pretrained"])
model.eval()
ids = open_clip.get_tokenizer(request["name"])(request["texts"])
pixels = [transform(Image.open(io.BytesIO(base64.b64decode(image)))) for image in request["images"]]
with torch.inference_mode():
    texts, images = model.encode_text(ids, normalize=True), model.encode_image(torch.stack(pixels), normalize=True)
json.dump({"ids": ids.tolist(), "vectors": texts.tolist() + images.tolist()}, sys.stdout)
"""
# Processor seconds to load ViT-B-32, as the shipped engine does it and as people do it, the least of turns.
LOAD = """
import json, sys, time
from handler.app import SERVICE
from handler.engines import hf_cache
from handler.engines import torch_engine
manifest, settings = SERVICE.models.manifest, SERVICE.settings
hf_cache.prepare(manifest, settings)
open_clip = torch_engine.import_open_clip(manifest.models)
entry = manifest.model("ViT-B-32/laion2b_s34b_b79k")
def seconds(load):
    start = time.process_time()
    load()
    return time.process_time() - start
ours, plain = [], []
for _ in range(3):
    ours.append(seconds(lambda: torch_engine._load_model(open_clip, entry)))
    plain.append(seconds(lambda: open_clip.create_model_and_transforms(entry.name, pretrained=entry.pretrained)))
json.dump({"ours": min(ours), "plain": min(plain)}, sys.stdout)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One bundle of all three, built from a hub: 1.4 GB, removed again."""
    root = tmp_path_factory.mktemp("parity")
    with serving() as hub:
        hub.add("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", repositories.random_weights(root / "clip", "ViT-B-32"))
        siglip = repositories.random_weights(root / "siglip", "ViT-B-16-SigLIP")
        hub.add("timm/ViT-B-16-SigLIP", repositories.t5_tokenizer(siglip))
        builder = Builder(root / "work", hub)
        run = builder.run("\n".join(_table(name, tag) for name, tag in MODELS.values()))
        assert run.returncode == 0, run.stderr
    yield builder.bundle
    for big in root.rglob("*.safetensors"):
        big.unlink()


@pytest.mark.parametrize("model_id", MODELS)
def test_embeddings_and_token_ids_are_open_clips_own(bundle: Path, tmp_path: Path, model_id: str) -> None:
    name, pretrained = MODELS[model_id]
    images = [reference.png(image) for image in reference.images()]
    ask = {"model": model_id, "input": [*TEXTS, *({"image": image} for image in images)]}

    found = _handler(bundle, tmp_path, ask)
    expected = _open_clip(bundle, tmp_path, {"name": name, "pretrained": pretrained, "texts": TEXTS, "images": images})

    assert found["ids"] == expected["ids"]
    vectors = np.array([item["embedding"] for item in found["answer"]["data"]])
    assert (vectors * np.array(expected["vectors"])).sum(axis=1).min() >= 0.99999


def test_loading_takes_at_most_two_thirds_of_open_clips_own_time(bundle: Path) -> None:
    run = sandbox.run(bundle, ["-c", LOAD], {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})
    assert run.returncode == 0, run.stderr

    seconds = json.loads(run.stdout)
    assert seconds["plain"] >= 1.5 * seconds["ours"], seconds


def _table(name: str, tag: str | None) -> str:
    return f'[[model]]\nname = "{name}"\nengine = "torch"\n' + (f'pretrained = "{tag}"\n' if tag else "")


def _handler(bundle: Path, tmp_path: Path, ask: dict[str, Any]) -> Any:
    path = tmp_path / "ask.json"
    path.write_text(json.dumps(ask))
    run = sandbox.run(bundle, ["-c", ASK, str(path)])
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def _open_clip(bundle: Path, tmp_path: Path, request: dict[str, Any]) -> Any:
    path = tmp_path / "reference.json"
    path.write_text(json.dumps(request))
    hub = tmp_path / "hub"
    hub.mkdir()
    for repository in bundle.glob("models/*/hub/models--*"):
        (hub / repository.name).symlink_to(repository)
    environ = {"PATH": "/usr/bin", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(hub), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", REFERENCE, str(path)], env=environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
