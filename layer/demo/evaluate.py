"""Measures a demo model: zero-shot accuracy over all classes, and whether it binds each colour to its shape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from layer.demo import pictures
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

    pictures: int
    zero_shot: dict[str, float]
    pair_pictures: int
    right_beats_swapped: dict[str, float]


def measure(embedder: Embedder, seed: int, singles: int, twins: int) -> Figures:
    """Draw `singles` pictures of one thing and `twins` pairs of pictures of two, and ask the model about them."""
    return Figures(
        pictures=singles,
        zero_shot=_zero_shot(embedder, seed, singles),
        pair_pictures=2 * twins,
        right_beats_swapped=_right_beats_swapped(embedder, seed, twins),
    )


def _zero_shot(embedder: Embedder, seed: int, count: int) -> dict[str, float]:
    drawn = [pictures.single(seed, number) for number in range(count)]
    images = embedder.images([image for image, _ in drawn])
    truth = torch.tensor([THINGS.index(scene[0]) for _, scene in drawn])
    found = {}
    for language in LANGUAGES:
        classes = embedder.texts([caption([thing], language) for thing in THINGS])
        found[language] = _share((images @ classes.T).argmax(dim=1) == truth)
    return found


def _right_beats_swapped(embedder: Embedder, seed: int, count: int) -> dict[str, float]:
    drawn = [picture for number in range(count) for picture in pictures.twins(seed, number)]
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
