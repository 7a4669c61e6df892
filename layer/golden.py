"""What open_clip itself says of a model: its facts, and reference token ids and embeddings.

Runs as a process of its own (`python -m layer.golden`), since huggingface_hub reads the offline variables once.
"""

import base64
import io
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from console.parser import Parser
from console.run import run_step
from layer import sandbox
from layer.errors import GoldenError

TEXTS = (
    "a photo of a red circle",
    "一张红色圆形的照片",
    "Ein naïves Café &amp; a “blue star” 🎈, THE END_of it.",
    "long " * 100,
)


@dataclass(frozen=True)
class Loaded:
    """A model in open_clip's hands, with its own transform and tokenizer."""

    model: Any
    transform: Any
    tokenizer: Any


def compute(name: str, pretrained: str | None, hub: Path) -> dict[str, Any]:
    """Ask open_clip, offline, with `hub` as its cache. Raises GoldenError with what open_clip said."""
    command = ["-m", "layer.golden", "--name", name, *(["--pretrained", pretrained] if pretrained else [])]
    run = sandbox.run_with_hub(hub, command)
    if run.returncode != 0:
        raise GoldenError(f"open_clip cannot load {name} offline from {hub}: {sandbox.reason(run)}")
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def pictures() -> list[Image.Image]:
    """Draw what is embedded: a wide RGB gradient with noise, a tall RGBA one, and one with a palette."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 96)[None, :, None] + np.zeros((40, 1, 3))
    wide = Image.fromarray((ramp * [1.0, 0.6, 0.3] + rng.uniform(0, 50, ramp.shape)).astype(np.uint8))
    tall = Image.fromarray(rng.integers(0, 256, (70, 30, 4), dtype=np.uint8), "RGBA")
    palette = wide.resize((48, 48)).quantize(16)
    return [wide, tall, palette]


def facts(name: str, loaded: Loaded) -> dict[str, Any]:
    """Return what the manifest says of a model, golden token ids and embeddings among it."""
    model = loaded.model
    preprocess = model.visual.preprocess_cfg
    bias = model.logit_bias
    golden = embed(loaded, list(TEXTS), pictures())
    return {
        "embed_dim": len(base64.b64decode(golden["text_embeddings"][0])) // 4,
        "image_size": _pair(preprocess["size"]),
        "context_length": len(golden["token_ids"][0]),
        "logit_scale": float(model.logit_scale.exp()),
        "logit_bias": None if bias is None else float(bias),
        "preprocess": {key: preprocess[key] for key in ("mean", "std", "interpolation", "resize_mode", "fill_color")},
        "tokenizer": _tokenizer_facts(name, loaded.tokenizer),
        "golden": golden,
    }


def load(name: str, pretrained: str | None) -> Loaded:
    """Load a model by open_clip itself, with its weights or not at all."""
    from layer.openclip import open_clip

    model, transform = open_clip.create_model_from_pretrained(name, pretrained=pretrained)
    return Loaded(model.eval(), transform, open_clip.get_tokenizer(name))


def embed(loaded: Loaded, texts: list[str], images: list[Image.Image]) -> dict[str, Any]:
    """Embed texts and pictures by open_clip itself, in the manifest's form: unit length, base64 of float32."""
    import torch

    ids = loaded.tokenizer(texts)
    with torch.inference_mode():
        said = [loaded.model.encode_text(row[None], normalize=True)[0] for row in ids]
        seen = [loaded.model.encode_image(loaded.transform(image)[None], normalize=True)[0] for image in images]
    return {
        "texts": texts,
        "token_ids": ids.tolist(),
        "text_embeddings": [_base64(vector.float().numpy()) for vector in said],
        "images": [png(image) for image in images],
        "image_embeddings": [_base64(vector.float().numpy()) for vector in seen],
    }


def _tokenizer_facts(name: str, tokenizer: Any) -> dict[str, Any]:
    from layer.openclip import open_clip

    text = open_clip.factory.get_model_config(name)["text_cfg"]
    from_hub = isinstance(tokenizer, open_clip.tokenizer.HFTokenizer)
    return {
        "kind": "hf" if from_hub else "simple",
        "repo": text.get("hf_tokenizer_name") if from_hub else None,
        "context_length": tokenizer.context_length,
        "clean": text.get("tokenizer_kwargs", {}).get("clean", "whitespace" if from_hub else "lower"),
        "strip_sep_token": bool(getattr(tokenizer, "strip_sep_token", False)),
        "mode": getattr(tokenizer, "tokenizer_mode", None) or None,
        "pad_id": int(tokenizer.tokenizer.pad_token_id) if from_hub else 0,
    }


def _pair(size: int | tuple[int, int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


def _base64(vector: "np.ndarray[Any, np.dtype[np.float32]]") -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def png(image: Image.Image) -> str:
    """Return the picture as PNG, in base64."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the facts of one model as JSON; returns the exit status."""
    return run_step(lambda: _command(arguments))


def _command(given: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.golden", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pretrained")
    arguments = parser.parse_args(given)
    logging.disable(logging.WARNING)  # stderr's last line is the reason of a failure
    json.dump(facts(arguments.name, load(arguments.name, arguments.pretrained)), sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
