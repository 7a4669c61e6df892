"""What a deployed function is asked, wherever it runs, and what its responses are held to."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bounds import MIN_COSINE
from tests.local.emulator import Function
from tests.local.test_emulator import decoded, golden, vectors

TEXTS = ["“a red circle”", "a red circle &amp; a star", "Ã©toile rouge", "一个红色的圆形", "x" * 500, "🟥 ｆｕｌｌ"]
KINDS = [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "L"), ("PNG", "LA"), ("JPEG", "RGB"), ("JPEG", "CMYK"),
         ("WEBP", "RGBA"), ("GIF", "P"), ("BMP", "RGB")]  # fmt: skip


def assert_as_open_clip(function: Function, bundle: Path) -> None:
    """Embed the bundle's golden texts and images, and compare with what open_clip computed when it was built."""
    expected = golden(bundle)
    images = [{"image": image} for image in expected["images"]]

    status, answer = function.post(
        "/v1/embeddings", json.dumps({"input": [*expected["texts"], *images]}), "application/json"
    )

    assert status == 200, answer
    wanted = decoded(expected["text_embeddings"] + expected["image_embeddings"])
    [model] = json.loads((bundle / "manifest.json").read_text())["models"]
    assert (vectors(answer) * wanted).sum(axis=1).min() >= MIN_COSINE[model["precision"]]
    np.testing.assert_allclose(np.linalg.norm(vectors(answer), axis=1), 1, atol=1e-6)


def assert_takes_every_kind(function: Function) -> None:
    """Embed captions that need fixing, and images of every format: each needs something of the runtime tree."""
    images = [image_item(kind, mode) for kind, mode in KINDS]

    status, answer = function.post("/v1/embeddings", json.dumps({"input": [*TEXTS, *images]}), "application/json")

    assert status == 200, answer
    assert len(answer["data"]) == len(TEXTS) + len(KINDS)


def image_item(kind: str, mode: str) -> dict[str, str]:
    pixels = np.random.default_rng(7).integers(0, 255, (61, 83, 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(buffer, kind)
    return {"image": base64.b64encode(buffer.getvalue()).decode()}
