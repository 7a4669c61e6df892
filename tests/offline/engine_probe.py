"""Asks the demo bundle through lambda_handler, in a process without network, and prints one JSON object."""

import base64
import io
import json
import sys
from typing import Any

import numpy as np

from handler.app import lambda_handler
from layer.demo import rendering
from layer.demo.captions import LANGUAGES, caption
from layer.demo.shapes import THINGS

SEED, COUNT = 3, 640
TEXTS = ["red", "a photo of a red circle", "一个红色的圆形的照片", "a very long caption " * 9, "x", "a blue star"]


def embed(items: list[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    answer = lambda_handler({"input": items}, None)
    assert "data" in answer, answer
    return np.array([item["embedding"] for item in answer["data"]])


def png(number: int) -> dict[str, str]:
    buffer = io.BytesIO()
    rendering.single(SEED, number)[0].save(buffer, "PNG")
    return {"image": base64.b64encode(buffer.getvalue()).decode()}


images = [png(number) for number in range(COUNT)]
seen = np.concatenate([embed(images[start : start + 128]) for start in range(0, COUNT, 128)])
truth = np.arange(COUNT) % len(THINGS)
zero_shot = {}
for language in LANGUAGES:
    classes = embed([caption([thing], language) for thing in THINGS])
    zero_shot[language] = float(((seen @ classes.T).argmax(axis=1) == truth).mean())
mixed = embed([*TEXTS, *images[:6]])
alone = np.concatenate([embed([item]) for item in [*TEXTS, *images[:6]]])

print(
    json.dumps(
        {
            "zero_shot": zero_shot,
            "alone_or_together": float((mixed * alone).sum(axis=1).min()),
            "torch": bool(sys.modules.get("torch")),
        }
    )
)
