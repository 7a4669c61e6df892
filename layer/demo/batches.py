"""Draws training batches: turned images, and captions in both languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from layer.demo.captions import LANGUAGES, TEMPLATES, caption
from layer.demo.rendering import RenderedImages, Scene
from layer.demo.shapes import THINGS, Thing
from layer.openclip import open_clip

SIZE = 96
TWINS_OF = 6  # every sixth image of a batch that has any shows two things: of 96 eight pairs of twins


@dataclass(frozen=True)
class Batch:
    """Images (float32 [N, 3, H, W]) and captions (int64 [M, context length]), with what each shows or means."""

    pixels: torch.Tensor
    scenes: list[Scene]
    token_ids: torch.Tensor
    meanings: list[Scene]


class Batches:
    """An endless supply of batches; one seed gives one sequence."""

    def __init__(
        self, singles: RenderedImages, twins: RenderedImages, folder: Path, seed: int, size: int = SIZE
    ) -> None:
        self._singles, self._twins, self._size = singles, twins, size
        self._rng = np.random.default_rng(seed)
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        self._token_ids = cache(lambda text: tokenizer([text])[0])

    def draw(self, with_pairs: bool) -> Batch:
        """Draw images of one thing, or most of those and some twins; a caption for every class and every pair."""
        of_two = self._size // TWINS_OF // 2 * 2 if with_pairs else 0
        things, ones = self._choose(self._size - of_two)
        firsts = 2 * self._rng.choice(len(self._twins.scenes) // 2, of_two // 2, replace=False)
        twos = np.stack([firsts, firsts + 1], axis=1).ravel()
        pairs = [self._twins.scenes[i] for i in twos]
        meanings: list[Scene] = [*((thing,) for thing in things), *pairs]
        pixels = np.concatenate([self._singles.pixels[ones], self._twins.pixels[twos]])
        return Batch(
            pixels=_normalized(self._turned(pixels)),
            scenes=[*(self._singles.scenes[i] for i in ones), *pairs],
            token_ids=torch.stack([self._token_ids(self._caption(meaning)) for meaning in meanings]),
            meanings=meanings,
        )

    def _choose(self, count: int) -> tuple[Sequence[Thing], NDArray[np.int64]]:
        """Choose the classes that a batch has a caption of, and `count` images of one thing, by their places."""
        return THINGS, self._rng.choice(len(self._singles.scenes), count, replace=False)

    def _caption(self, scene: Scene) -> str:
        language = LANGUAGES[self._rng.integers(len(LANGUAGES))]
        order = scene if self._rng.random() < 0.5 else scene[::-1]
        return caption(order, language, int(self._rng.integers(len(TEMPLATES[language]))))

    def _turned(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn and flip the images, each in one of eight ways: what they show stays the same."""
        turned = np.empty_like(pixels)
        ways = self._rng.integers(8, size=len(pixels))
        for way in range(8):
            some = pixels[ways == way]
            turned[ways == way] = np.rot90(some[:, ::-1] if way % 2 else some, way // 2, axes=(1, 2))
        return turned


def _normalized(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Scale to -1..1 (mean and deviation 0.5), as the model's own preprocessing does."""
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    return scaled.contiguous(memory_format=torch.channels_last)
