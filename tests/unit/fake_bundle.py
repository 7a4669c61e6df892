"""A bundle with a manifest and no weights, and an engine whose vectors a reader can work out: no torch."""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handler import manifest
from handler.engines.tokenizer import fitted
from handler.http import dispatch
from handler.manifest import Manifest, ModelEntry
from handler.models import Models
from handler.service import Service
from handler.settings import Settings

FIRST, SECOND = "tests/letters", "tests/other"
EMBED_DIM = 4
CONTEXT_LENGTH = 16


class LetterEngine:
    """Texts become counts of a, b, c and d; images their mean red, green and blue (as 0..1), and 1."""

    def __init__(self) -> None:
        self.text_batches: list[list[str]] = []
        self.image_batches: list[tuple[int, ...]] = []
        self.loaded: list[set[str]] = []

    def load(self, modalities: Collection[str]) -> None:
        self.loaded.append(set(modalities))

    def tokenize(self, texts: Sequence[str], cut: str | None = None) -> NDArray[np.int64]:
        if cut:
            texts = ["".join(fitted(list(text), CONTEXT_LENGTH, cut, text)) for text in texts]
        self.text_batches.append(list(texts))
        width = max(len(text) for text in texts)
        return np.array([[ord(letter) for letter in text.ljust(width, "\0")] for text in texts], np.int64)

    def variants(self) -> dict[str, str]:
        return {}

    def encode_tokens(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack([(ids == ord(letter)).sum(axis=1) for letter in "abcd"], axis=1).astype(np.float32)

    def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        self.image_batches.append(pixels.shape)
        means = pixels.mean(axis=(2, 3))
        return np.concatenate([means, np.ones((len(pixels), 1), np.float32)], axis=1)


def model_json(model_id: str) -> dict[str, Any]:
    return {
        "id": model_id,
        "slug": model_id.replace("/", "--"),
        "name": f"hf-hub:{model_id}",
        "pretrained": None,
        "engine": "torch",
        "precision": "fp32",
        "embed_dim": EMBED_DIM,
        "image_size": [8, 8],
        "context_length": CONTEXT_LENGTH,
        "logit_scale": 10.0,
        "logit_bias": None,
        "preprocess": {
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
            "interpolation": "bicubic",
            "resize_mode": "squash",
            "fill_color": 0,
        },
        "tokenizer": {"kind": "hf", "repo": model_id, "pad_id": 0},
        "sources": [],
        "golden": {
            "texts": ["abc"],
            "token_ids": [[ord(letter) for letter in "abc"]],
            "text_embeddings": [little_endian([1, 1, 1, 0])],
            "images": [as_base64(image_bytes())],
            "image_embeddings": [little_endian([1, 0, 0, 1])],
        },
    }


def write(bundle_dir: Path, image_formats: Sequence[str] = ()) -> Path:
    """Write a bundle of two models and one file, and return its directory."""
    bundle_dir.mkdir(parents=True, exist_ok=True)
    (bundle_dir / "weights").write_bytes(b"12345")
    content = {
        "schema": 3,
        "created_at": "2026-11-23T20:00:00Z",
        "target": {
            "python": "3.13",
            "architecture": "x86_64",
            "package": "image",
            **({"image_formats": list(image_formats)} if image_formats else {}),
        },
        "versions": {},
        "models": [model_json(FIRST), model_json(SECOND)],
        "files": [{"path": "weights", "size": 5, "sha256": hashlib.sha256(b"12345").hexdigest()}],
    }
    (bundle_dir / "manifest.json").write_text(json.dumps(content))
    return bundle_dir


class Loader:
    """Stands in for the engine's loading: remembers what was loaded, waits for `gate`, raises `error` if set."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.engine = LetterEngine()
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def __call__(self, entry: ModelEntry, bundle: Manifest, settings: Settings) -> LetterEngine:
        self.loads.append(entry.id)
        assert self.gate.wait(20)
        if self.error:
            raise self.error
        return self.engine


class FakeFunction:
    """A deployed function: `invoke` directly, or `post` and `get` through an HTTP API."""

    def __init__(self, bundle_dir: Path, image_formats: Any = (), **settings_: Any) -> None:
        self.loader = Loader()
        settings = Settings(bundle_dir=write(bundle_dir, image_formats), **settings_)
        self.service = Service(settings, Models(manifest.load(bundle_dir), settings, self.loader))

    def invoke(self, event: Any) -> dict[str, Any]:
        return dispatch.handle(self.service, event, None)

    def http(
        self, method: str, path: str, body: bytes = b"", content_type: str | None = "application/json", query: str = ""
    ) -> tuple[int, dict[str, Any]]:
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"content-type": content_type} if content_type else {},
            "requestContext": {"http": {"method": method}, "stage": "$default"},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        answer = self.invoke(event)
        assert answer["isBase64Encoded"] is False
        assert answer["headers"]["content-type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])

    def post(self, body: Any) -> tuple[int, dict[str, Any]]:
        return self.http("POST", "/v1/embeddings", json.dumps(body).encode())

    def get(self, path: str, query: str = "") -> tuple[int, dict[str, Any]]:
        return self.http("GET", path, content_type=None, query=query)


def image_bytes(color: tuple[int, ...] = (255, 0, 0), kind: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    return encoded(Image.new("RGB", size, color), kind)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def little_endian(numbers: Sequence[float]) -> str:
    return as_base64(np.array(numbers, "<f4").tobytes())


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{as_base64(data)}"
