"""Embed data by one side, the shipped handler or open_clip: in batches, and one by one where a batch is refused."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from layer.errors import EvaluationError
from layer.progress import bar
from layer.quality.data import Data
from layer.quality.encodings import answers
from layer.quality.line_process import Ask

BATCH = {"image": 16, "text": 64}
Vectors = NDArray[np.float32]
T = TypeVar("T")


@dataclass
class Embedded:
    """Vectors of unit length, float32 [N, D], and why some rows have none (they are zeros)."""

    images: Vectors
    texts: Vectors
    refused: dict[str, dict[int, str]] = field(default_factory=lambda: {"image": {}, "text": {}})


@dataclass(frozen=True)
class Side:
    """How one side is asked. Each function takes items and returns their vectors, or raises _RefusedError."""

    name: str
    images: Callable[[Sequence[Path]], Vectors]
    texts: Callable[[Sequence[str]], Vectors]


class _RefusedError(Exception):
    """The items of a request are not embedded."""


def of_handler(ask: Ask, model: str) -> Side:
    """Return the shipped handler as a side."""

    def send(items: list[Any]) -> Vectors:
        answer = ask({"input": items, "model": model, "encoding_format": "base64"})
        return _vectors([row["embedding"] for row in answer.get("data", ())], answer)

    def images(paths: Sequence[Path]) -> Vectors:
        return send([{"image": base64.b64encode(_bytes(path)).decode()} for path in paths])

    return Side(model, images, lambda texts: send([{"text": text} for text in texts]))


def of_open_clip(ask: Ask) -> Side:
    """Return open_clip in fp32 as a side."""

    def send(request: dict[str, Any]) -> Vectors:
        answer = ask(request)
        return _vectors(answer.get("vectors", ()), answer)

    return Side(
        "open_clip",
        lambda paths: send({"images": [str(path.resolve()) for path in paths]}),
        lambda texts: send({"texts": list(texts)}),
    )


def embed(side: Side, data: Data) -> Embedded:
    """Embed the images, and the texts or the classes: a class is the mean of its prompts' unit vectors."""
    prompts = [template.replace("{}", text) for text in data.texts for template in data.templates]
    images, no_images = _all(side.images, data.images, f"{side.name}: images", "image")
    texts, no_texts = _all(side.texts, prompts, f"{side.name}: texts", "text")
    each = len(data.templates)
    means = texts.reshape(len(data.texts), each, -1).mean(axis=1, dtype=np.float32)
    refused = {place // each: reason for place, reason in no_texts.items()}
    return Embedded(images, unit(means) if each > 1 else means, {"image": no_images, "text": refused})


def unit(vectors: Vectors) -> Vectors:
    """Bring vectors [N, D] to unit length; zeros stay zeros."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def check_encodings(ask: Ask, model: str, texts: Sequence[str], vectors: Vectors) -> None:
    """Compare what the shipped handler answers as int8 and binary with the documented formula, on some texts."""
    some = list(texts[: BATCH["text"]])
    for encoding in ("int8", "binary"):
        answer = ask({"input": some, "model": model, "encoding_format": encoding})
        if not answers([row["embedding"] for row in answer.get("data", ())], vectors[: len(some)], encoding):
            raise EvaluationError(
                f"{model}: the handler's {encoding} is not what docs/api.md says of it: report it, "
                "with the output of `python -m layer verify`"
            )


def _all(
    ask: Callable[[Sequence[T]], Vectors], items: Sequence[T], title: str, unit_name: str
) -> tuple[Vectors, dict[int, str]]:
    parts: list[Vectors | None] = []
    refused: dict[int, str] = {}
    with bar(title, len(items), unit=unit_name) as shown:
        for start in range(0, len(items), BATCH[unit_name]):
            batch = items[start : start + BATCH[unit_name]]
            try:
                parts += [*ask(batch)]
            except _RefusedError:
                for place, item in enumerate(batch, start):
                    try:
                        parts += [*ask([item])]
                    except _RefusedError as error:
                        refused[place] = str(error)
                        parts.append(None)
            shown.update(len(batch))
    known = next((row for row in parts if row is not None), None)
    if known is None:
        why = next(iter(refused.values()), "there are none")
        raise EvaluationError(f"{title}: none can be embedded: {why}")
    return np.stack([np.zeros_like(known) if row is None else row for row in parts]), refused


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _RefusedError(f"cannot be read: {error.strerror}") from error


def _vectors(rows: Sequence[str], answer: dict[str, Any]) -> Vectors:
    if "error" in answer or not rows:
        message = answer.get("error", {}).get("message") if isinstance(answer.get("error"), dict) else None
        raise _RefusedError(message or "no answer")
    return np.stack([np.frombuffer(base64.b64decode(row), "<f4") for row in rows]).astype(np.float32)
