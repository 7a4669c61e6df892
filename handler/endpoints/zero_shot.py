"""`POST /v1/classify` and `POST /v1/similarity`: images against texts, scored as the model was trained to score."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handler.endpoints.embeddings import as_asked, embed, unit
from handler.manifest import ModelEntry
from handler.schemas.fields import Item
from handler.schemas.limits import check_matrix_size
from handler.settings import Settings

if TYPE_CHECKING:
    from handler.models import LoadedModel

Scores = NDArray[np.float32]
DIGITS = 9  # significant digits that identify a float32


def check_classes(fields: dict[str, Any]) -> None:
    """Raise ApiError if the response could be too large for these images and labels."""
    labels = [item.value for item in fields["labels"]]
    # Each label is in the row of each image, escaped twice: up to 14 bytes, for characters beyond the first plane.
    characters = sum(30 + 14 * len(label) for label in labels)
    check_matrix_size(len(fields["input"]), len(labels), characters, "input")


def classify(fields: dict[str, Any], model: "LoadedModel", settings: Settings) -> dict[str, Any]:
    """Score the labels for each image: with softmax the scores sum to 1, with sigmoid each is independent."""
    images, labels, templates = fields["input"], fields["labels"], fields["template"]
    prompts = [Item(template.replace("{}", label.value), label.param) for label in labels for template in templates]
    settings = as_asked(settings, fields["exif_orientation"])
    vectors, tokens = embed([*images, *prompts], model, settings)
    rows = unit(vectors[: len(images)])
    classes = _ensemble(vectors[len(images) :], len(labels))
    scores = activate(rows @ classes.T, model.entry)
    names = [label.value for label in labels]
    return {
        "object": "list",
        "data": [_prediction(index, names, row) for index, row in enumerate(scores)],
        "activation": activation(model.entry),
        "model": model.entry.id,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def similarity(fields: dict[str, Any], model: "LoadedModel", settings: Settings) -> dict[str, Any]:
    """Return the cosine of every image (row) with every text (column), and the model's scale, bias and activation."""
    images, texts = fields["images"], fields["texts"]
    vectors, tokens = embed([*images, *texts], model, as_asked(settings, fields["exif_orientation"]))
    vectors = unit(vectors)
    cosines = vectors[: len(images)] @ vectors[len(images) :].T
    return {
        "object": "similarity",
        "scores": [[_rounded(cosine) for cosine in row] for row in cosines.tolist()],
        "logit_scale": model.entry.logit_scale,
        "logit_bias": model.entry.logit_bias,
        "activation": activation(model.entry),
        "model": model.entry.id,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def activation(entry: ModelEntry) -> str:
    """Return the activation of a model: "sigmoid" if it has a logit bias, as SigLIP's loss does, else "softmax"."""
    return "softmax" if entry.logit_bias is None else "sigmoid"


def activate(cosines: Scores, entry: ModelEntry) -> NDArray[np.float64]:
    """Return the probabilities, [images, labels], with the model's own scale and bias."""
    logits = entry.logit_scale * cosines.astype(np.float64) + (entry.logit_bias or 0.0)
    if entry.logit_bias is not None:
        return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))  # the sigmoid, without exp's overflow
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _ensemble(prompts: Scores, labels: int) -> Scores:
    """Average each label's prompts [labels x templates, D] at unit length; the means are scaled to unit length, too."""
    means: Scores = unit(prompts).reshape(labels, -1, prompts.shape[1]).mean(axis=1)
    return unit(means)


def _prediction(index: int, labels: Sequence[str], scores: NDArray[np.float64]) -> dict[str, Any]:
    best = int(scores.argmax())
    rows = [{"label": label, "score": _rounded(score)} for label, score in zip(labels, scores.tolist(), strict=True)]
    return {
        "object": "classification",
        "index": index,
        "prediction": labels[best],
        "score": rows[best]["score"],
        "predictions": rows,
    }


def _rounded(score: float) -> float:
    return float(f"{score:.{DIGITS}g}")
