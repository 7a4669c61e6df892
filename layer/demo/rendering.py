"""Renders many images at once, on every core; an image depends on its seed and number only, never on the order."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layer.demo.shapes import THINGS, Thing, draw, random_pair, swapped
from layer.progress import each

# First word of every seed: training never sees an image that evaluation draws. Tests draw from 2 on.
TRAINING, HELD_OUT = 0, 1
_SINGLE, _TWIN = 0, 1
_CHUNK = 500

Scene = tuple[Thing, ...]


@dataclass(frozen=True)
class RenderedImages:
    """Pixels, uint8 [N, side, side, 3], and what each image shows."""

    pixels: NDArray[np.uint8]
    scenes: list[Scene]


def single(seed: int, number: int) -> tuple[Image.Image, Scene]:
    """Draw an image of one thing; the numbers walk through all classes."""
    scene = (THINGS[number % len(THINGS)],)
    return draw(np.random.default_rng([seed, _SINGLE, number]), scene), scene


def twins(seed: int, number: int) -> tuple[tuple[Image.Image, Scene], tuple[Image.Image, Scene]]:
    """Draw an image of two things and the same image with their colors exchanged."""
    pair = random_pair(np.random.default_rng([seed, _TWIN, number, 0]))
    images = [(draw(np.random.default_rng([seed, _TWIN, number, 1]), scene), scene) for scene in (pair, swapped(pair))]
    return images[0], images[1]


def render_singles(seed: int, count: int) -> RenderedImages:
    """Render `count` images of one thing each."""
    return _render("images of one thing", partial(_singles, seed), count)


def render_twins(seed: int, count: int) -> RenderedImages:
    """Render `count` pairs of twins: image 2n and image 2n + 1 differ in the exchanged colors."""
    return _render("images of two things", partial(_twins, seed), count)


def _singles(seed: int, numbers: range) -> list[tuple[NDArray[np.uint8], Scene]]:
    return [(np.asarray(image), scene) for image, scene in (single(seed, number) for number in numbers)]


def _twins(seed: int, numbers: range) -> list[tuple[NDArray[np.uint8], Scene]]:
    return [(np.asarray(image), scene) for number in numbers for image, scene in twins(seed, number)]


def _render(what: str, job: "partial[list[tuple[NDArray[np.uint8], Scene]]]", count: int) -> RenderedImages:
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    spawn = multiprocessing.get_context("spawn")  # forking a process that has started torch's threads may hang
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as workers:
        done = zip(each(chunks, f"drawing {what}", "chunk"), workers.map(job, chunks), strict=True)
        drawn = [item for _, chunk in done for item in chunk]
    return RenderedImages(np.stack([pixels for pixels, _ in drawn]), [scene for _, scene in drawn])
