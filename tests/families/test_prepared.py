"""The example that this project began with: ViT-B-16-SigLIP-i18n-256 in a cache that open_clip's own calls prepared.

True architecture, random weights, 1.5 GB: some minutes on two cores. A part of `make models`.
"""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from layer.bundle import sandbox
from tests.families.families import FAMILIES
from tests.families.repositories import serve
from tests.hub import prepared
from tests.hub.builder import ROOT, Builder
from tests.hub.server import Hub, serving
from tests.local.emulator import running

NAME, TAG = "ViT-B-16-SigLIP-i18n-256", "webli"
SPEC = '[target]\npackage = "{package}"\n[[model]]\nname = "{name}"\npretrained = "{tag}"\nengine = "{engine}"\n'
TEXTS = ["a photo of a red circle", "一张红色圆形的照片", "ein rotes Quadrat"]
OPEN_CLIP = """
import json, sys
from PIL import Image
import torch
from layer.openclip import open_clip
model, _, transform = open_clip.create_model_and_transforms(sys.argv[1], pretrained=sys.argv[2] or None)
ids = open_clip.get_tokenizer(sys.argv[1])(json.loads(sys.argv[3]))
with torch.inference_mode():
    texts = model.eval().encode_text(ids, normalize=True)
    image = model.encode_image(transform(Image.open(sys.argv[4]))[None], normalize=True)
print(json.dumps([*texts.tolist(), *image.tolist()]))
"""
SERVED = """
import json, sys
from handler.app import lambda_handler
print(json.dumps(lambda_handler(json.loads(sys.argv[1]), None)))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Hub]]:
    """A directory with the prepared cache in it; the hub is gone."""
    root = tmp_path_factory.mktemp("siglip")
    with serving() as hub:
        serve(hub, next(family for family in FAMILIES if family.model == NAME), root / "hub")
        prepared.by_open_clip(hub, root / "model_cache", NAME, TAG)
    shutil.rmtree(root / "hub")
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(image).save(root / "image.png")
    yield root, hub
    shutil.rmtree(root)  # gigabytes


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("engine", "package", "least"), [("torch", "layer", 0.99999), ("onnx", "image", 0.999)])
def test_the_prepared_cache_is_built_served_and_packaged_without_a_network(
    place: tuple[Path, Hub], engine: str, package: str, least: float
) -> None:
    root, hub = place
    builder = Builder(root / engine, hub, offline=True)
    spec = SPEC.format(package=package, name=NAME, tag=TAG, engine=engine)

    run = builder.run(spec, "--from", str(root / "model_cache"), timeout=900)

    assert run.returncode == 0, run.stderr
    assert "all hashes checked" in run.stderr
    assert min(cosines(served(builder.bundle, root), by_open_clip(root))) >= least
    packaged = packaging(builder)
    if package == "layer":
        assert packaged.returncode == 1
        for said in ("does not fit", 'engine = "onnx"', 'precision = "int8"', 'package = "image"'):
            assert said in packaged.stderr
    else:
        assert packaged.returncode == 0, packaged.stderr
        [image] = json.loads((builder.root / "out" / "package.json").read_text())["artefacts"]
        assert (image["role"], image["unzipped_bytes"] < 10_000_000_000) == ("image", True)
        assert min(cosines(of_image(builder.root / "out" / "image", root), by_open_clip(root))) >= least


def served(bundle: Path, root: Path) -> Any:
    """The embeddings of texts and an image by the shipped handler, without a network."""
    run = sandbox.run(bundle, ["-c", SERVED, json.dumps(event(root))])
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout.splitlines()[-1])
    return [row["embedding"] for row in answer["data"]]


def of_image(image: Path, root: Path) -> Any:
    """The same by AWS's runtime client under its emulator, on the image's own handler and bundle.

    Its libraries are for Lambda's Python; those that are installed here run it.
    """
    with running(image / "bundle", root / "function", {"HF_HUB_OFFLINE": "1"}, image) as function:
        return [row["embedding"] for row in function.invoke(event(root))["data"]]


def event(root: Path) -> dict[str, Any]:
    image = base64.b64encode((root / "image.png").read_bytes()).decode()
    return {"input": [*TEXTS, {"image": image}]}


def by_open_clip(root: Path) -> Any:
    """The same by open_clip itself, from the cache as it was prepared, offline."""
    command = ["-c", OPEN_CLIP, NAME, TAG, json.dumps(TEXTS), str(root / "image.png")]
    run = sandbox.run_with_hub(root / "model_cache", command)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def cosines(ours: Any, theirs: Any) -> list[float]:
    one, other = (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (ours, theirs))
    return [float(value) for value in (one * other).sum(axis=1)]


def packaging(builder: Builder) -> "subprocess.CompletedProcess[str]":
    """Package it; the libraries of an image come from the package index, the model from the bundle."""
    command = [sys.executable, "-m", "layer", "package", "--bundle", str(builder.bundle)]
    command += ["--output", str(builder.root / "out"), "--cache", str(builder.root / "cache")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
