"""Measures a demo model: zero-shot accuracy over all classes, and whether it binds each color to its shape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from layer.demo import rendering
from layer.demo.captions import LANGUAGES, caption
from layer.demo.shapes import THINGS, swapped
from layer.openclip import open_clip

_BATCH = 256


@dataclass(frozen=True)
class Embedder:
    """An OpenCLIP model with its own preprocessing and tokenizer."""

    model: torch.nn.Module
    preprocess: Callable[[Image.Image], torch.Tensor]
    tokenizer: Callable[[list[str]], torch.Tensor]

    @torch.inference_mode()
    def images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Return unit-length embeddings, float32 [N, D]."""
        pixels = torch.stack([self.preprocess(image) for image in images])
        parts = [self.model.encode_image(part, normalize=True) for part in pixels.split(_BATCH)]  # type: ignore[operator]
        return torch.cat(parts)

    @torch.inference_mode()
    def texts(self, texts: list[str]) -> torch.Tensor:
        """Return unit-length embeddings, float32 [N, D]."""
        parts = [self.model.encode_text(part, normalize=True) for part in self.tokenizer(texts).split(_BATCH)]  # type: ignore[operator]
        return torch.cat(parts)


@dataclass(frozen=True)
class Figures:
    """What was measured, by language; each is a share from 0 to 1."""

    images: int
    zero_shot: dict[str, float]
    pair_images: int
    right_beats_swapped: dict[str, float]


def measure(embedder: Embedder, seed: int, singles: int, twins: int) -> Figures:
    """Draw `singles` images of one thing and `twins` pairs of images of two, and ask the model about them."""
    return Figures(
        images=singles,
        zero_shot=_zero_shot(embedder, seed, singles),
        pair_images=2 * twins,
        right_beats_swapped=_right_beats_swapped(embedder, seed, twins),
    )


def _zero_shot(embedder: Embedder, seed: int, count: int) -> dict[str, float]:
    drawn = [rendering.single(seed, number) for number in range(count)]
    images = embedder.images([image for image, _ in drawn])
    truth = torch.tensor([THINGS.index(scene[0]) for _, scene in drawn])
    found = {}
    for language in LANGUAGES:
        classes = embedder.texts([caption([thing], language) for thing in THINGS])
        found[language] = _share((images @ classes.T).argmax(dim=1) == truth)
    return found


def _right_beats_swapped(embedder: Embedder, seed: int, count: int) -> dict[str, float]:
    drawn = [pair_image for number in range(count) for pair_image in rendering.twins(seed, number)]
    images = embedder.images([image for image, _ in drawn])
    found = {}
    for language in LANGUAGES:
        right = embedder.texts([caption(scene, language) for _, scene in drawn])
        wrong = embedder.texts([caption(swapped((scene[0], scene[1])), language) for _, scene in drawn])
        found[language] = _share((images * right).sum(dim=1) > (images * wrong).sum(dim=1))
    return found


def _share(hits: torch.Tensor) -> float:
    return float(hits.float().mean())


def load(name: str) -> Embedder:
    """Load the model that open_clip knows by this name; its weights must be there."""
    model, preprocess = open_clip.create_model_from_pretrained(name)
    return Embedder(model.eval(), preprocess, open_clip.get_tokenizer(name))
