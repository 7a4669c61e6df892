"""The benchmark's inputs and open_clip's embeddings of them, for the demo model: what contenders are compared with."""

import base64
import io
import json
import os
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.peers import inputs
from benchmarks.peers.contender import Entry, Setup
from benchmarks.peers.open_clip_torch import OpenClip
from benchmarks.peers.processes import running
from layer.demo import snapshot
from layer.openclip import open_clip

MODEL = f"local-dir:{snapshot.current('openclip-lambda/shapes-i18n')}"


def written(root: Path, bundles: dict[str, Path]) -> tuple[Setup, OpenClip]:
    """Write the benchmark's inputs below `root`; returns where they are, and the benchmark's own open_clip."""
    setup = Setup(MODEL, "", root, root, bundles, torch.get_num_threads())
    with patch.dict(os.environ):
        loaded = OpenClip(setup)
    (root / "inputs").mkdir()
    inputs.write(root / "inputs", loaded)
    return setup, loaded


def expected(root: Path) -> dict[str, NDArray[np.float32]]:
    """Return open_clip's embeddings of the encoded images and the texts, without the benchmark's code."""
    model, _, preprocess = open_clip.create_model_and_transforms(MODEL)
    request = json.loads((root / "inputs" / "request.json").read_text())
    images = [Image.open(io.BytesIO(base64.b64decode(data))) for data in request["images"]]
    with torch.inference_mode():
        pixels = torch.stack([preprocess(image) for image in images])
        ids = open_clip.get_tokenizer(MODEL)(request["captions"])
        return {
            "images": model.eval().encode_image(pixels).numpy(),
            "captions": model.eval().encode_text(ids).numpy(),
        }


def of_process(entry: Entry, setup: Setup) -> dict[str, list[list[float]]]:
    """Return a contender's embeddings of the same from a process of its own, as a benchmark measures it."""
    folder = setup.peers / "inputs"
    given = {
        "entry": entry._asdict(),
        "setup": setup.as_json(),
        "inputs": str(folder),
        "request": str(folder / "request.json"),
        "cpus": sorted(os.sched_getaffinity(0)),
        "hide_amx": False,
        "stops": False,
        "started": time.monotonic(),
    }
    with running(sys.executable, given) as process:
        return process.ask({"do": "vectors"})
