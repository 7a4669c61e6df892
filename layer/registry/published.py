"""The figures that open_clip has published about its models, copied from its tables.

https://github.com/mlfoundations/open_clip at commit f862f86cd92123615a8695ce8bcb6ecc066af452: docs/openclip_results.csv
(zero-shot accuracy on ImageNet, and the mean over 38 data sets) is published.csv, docs/model_profile.csv (billions of
operations of the image tower) is operations.csv. At commit 9a3e7d0f199e4b554b6d2e3be7fa2e83062d8c8c:
docs/openclip_multilingual_retrieval_results.csv (Crossmodal-3600, text-to-image recall@1 in 36 languages) is
languages.csv, the models with a multilingual text tower.
"""

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = "open_clip's docs/openclip_results.csv (commit f862f86)"
LANGUAGES_SOURCE = "docs/openclip_multilingual_retrieval_results.csv (commit 9a3e7d0)"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Accuracy:
    """Zero-shot: top-1 on ImageNet, and the mean over 38 data sets; shares of 1."""

    imagenet: float
    average: float


def accuracy(name: str, pretrained: str) -> Accuracy | None:
    """Return the published accuracy of a pair, or of the same weights under open_clip's other name; None if unknown."""
    return _accuracies().get((name, pretrained)) or _accuracies().get((_plain(name), pretrained))


def recall(name: str, pretrained: str, languages: Sequence[str]) -> float | None:
    """Return the text-to-image recall@1 of Crossmodal-3600, the mean of some languages; None where one is missing."""
    known = _recalls().get((name, pretrained), {})
    if not languages or not set(languages) <= set(known):
        return None
    return sum(known[language] for language in languages) / len(languages)


def languages_measured() -> frozenset[str]:
    """Return the codes of the languages that `recall` knows."""
    return frozenset(code for row in _recalls().values() for code in row)


def image_gflops(name: str) -> float | None:
    """Return how many billion operations the image tower takes; None where open_clip does not say."""
    return _operations().get(name) or _operations().get(_plain(name))


def _plain(name: str) -> str:
    return name.removesuffix("-quickgelu")


@functools.cache
def _accuracies() -> dict[tuple[str, str], Accuracy]:
    with (_HERE / "published.csv").open(encoding="utf-8", newline="") as stream:
        return {
            (row["name"], row["pretrained"]): Accuracy(float(row["imagenet"]), float(row["average38"]))
            for row in csv.DictReader(stream)
        }


@functools.cache
def _recalls() -> dict[tuple[str, str], dict[str, float]]:
    with (_HERE / "languages.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {
        (row.pop("name"), row.pop("pretrained")): {code: float(value) for code, value in row.items()} for row in rows
    }


@functools.cache
def _operations() -> dict[str, float]:
    with (_HERE / "operations.csv").open(encoding="utf-8", newline="") as stream:
        return {row["name"]: float(row["image_gflops"]) for row in csv.DictReader(stream)}
