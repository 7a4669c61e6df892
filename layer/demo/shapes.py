"""Draws colored shapes on noisy, textured backgrounds: what the demo model is trained and tested on.

Everything about an image comes from the generator passed in. The same seed draws the same scene at every size, and
with the colors of two things exchanged it draws the same scene with the colors exchanged.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from layer.demo.outlines import OUTLINES

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (220, 30, 35),
    "orange": (250, 135, 15),
    "yellow": (245, 225, 40),
    "green": (35, 160, 60),
    "blue": (35, 80, 220),
    "purple": (135, 45, 175),
    "white": (245, 245, 245),
    "black": (18, 18, 20),
}
SHAPES: tuple[str, ...] = tuple(OUTLINES)
SIZE = 64  # pixels: what the demo model sees

_SUPERSAMPLING = 4
_CONTRAST = 140.0  # least distance in RGB between a background and a thing on it

Floats = NDArray[np.float32]


@dataclass(frozen=True, order=True)
class Thing:
    """A shape with a color."""

    color: str
    shape: str


@dataclass(frozen=True)
class _Place:
    """Where a thing stands; lengths are fractions of the image's side, the angle is in radians."""

    x: float
    y: float
    radius: float
    angle: float
    stretch: float


THINGS: tuple[Thing, ...] = tuple(Thing(color, shape) for color, shape in product(COLORS, SHAPES))


def draw(rng: np.random.Generator, things: Sequence[Thing], size: int = SIZE) -> Image.Image:
    """Draw one or two things at random places; returns an RGB image of `size` x `size` pixels."""
    places = _places(rng, len(things))
    canvas = _background(rng, [COLORS[thing.color] for thing in things], size)
    for thing, place, paint in zip(things, places, _paints(rng, things), strict=True):
        mask = _mask(thing.shape, place, size)
        shade = 1 + _ramp(rng, size)[..., None] * rng.uniform(0, 0.15)
        canvas += mask[..., None] * (paint * shade - canvas)
    canvas *= rng.uniform(0.85, 1.1)
    canvas += rng.uniform(0, 12) * rng.standard_normal(canvas.shape, dtype=np.float32)  # last: its size varies
    return Image.fromarray(canvas.clip(0, 255).astype(np.uint8))


def swapped(things: tuple[Thing, Thing]) -> tuple[Thing, Thing]:
    """Return the two things with their colors exchanged."""
    first, second = things
    return Thing(second.color, first.shape), Thing(first.color, second.shape)


def random_pair(rng: np.random.Generator) -> tuple[Thing, Thing]:
    """Return two things that differ in color and in shape, so that exchanging the colors makes another scene."""
    colors = rng.choice(list(COLORS), size=2, replace=False)
    shapes = rng.choice(SHAPES, size=2, replace=False)
    return Thing(str(colors[0]), str(shapes[0])), Thing(str(colors[1]), str(shapes[1]))


def _places(rng: np.random.Generator, count: int) -> list[_Place]:
    low, high = (0.21, 0.42) if count == 1 else (0.17, 0.25)
    while True:
        places = [_place(rng, rng.uniform(low, high)) for _ in range(count)]
        if count == 1 or _apart(*places):
            return places


def _place(rng: np.random.Generator, radius: float) -> _Place:
    x, y = rng.uniform(radius, 1 - radius, size=2)
    return _Place(x, y, radius, angle=rng.uniform(0, 2 * np.pi), stretch=rng.uniform(0.85, 1.0))


def _apart(first: _Place, second: _Place) -> bool:
    return bool(np.hypot(first.x - second.x, first.y - second.y) > first.radius + second.radius + 0.02)


def _paints(rng: np.random.Generator, things: Sequence[Thing]) -> list[Floats]:
    """Return each thing's color, jittered; a color gets the same jitter whichever thing wears it."""
    jitter = {color: rng.uniform(-1, 1, size=3) for color in sorted({thing.color for thing in things})}
    return [_jittered(COLORS[thing.color], jitter[thing.color]) for thing in things]


def _jittered(color: tuple[int, int, int], jitter: NDArray[np.float64]) -> Floats:
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in color))
    hue = (hue + 0.015 * jitter[0]) % 1
    saturation = min(max(saturation * (1 + 0.12 * jitter[1]), 0), 1)
    value = min(max(value + 0.06 * jitter[2], 0), 1)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value), dtype=np.float32) * 255


def _mask(shape: str, place: _Place, size: int) -> Floats:
    """Return how much of each pixel the shape covers: float32 [size, size] from 0 to 1."""
    side = size * _SUPERSAMPLING
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    cos, sin = np.cos(place.angle), np.sin(place.angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    for points, ink in OUTLINES[shape]:
        scaled = points * (1.0, place.stretch) * place.radius
        corners = (scaled @ turn.T + (place.x, place.y)) * side
        pen.polygon([(float(x), float(y)) for x, y in corners], fill=ink)
    return np.asarray(image.reduce(_SUPERSAMPLING), dtype=np.float32) / np.float32(255)


def _background(rng: np.random.Generator, colors: Sequence[tuple[int, int, int]], size: int) -> Floats:
    """Return a gradient with a texture and scribbles over it: float32 [size, size, 3] from 0 to 255."""
    base = _contrasting(rng, colors)
    drift = rng.uniform(-45, 45, size=3).astype(np.float32)
    tint = rng.uniform(-30, 30, size=3).astype(np.float32)
    canvas = base + _ramp(rng, size)[..., None] * drift + _texture(rng, size)[..., None] * tint
    return _scribbled(rng, canvas.clip(0, 255).astype(np.float32))


def _contrasting(rng: np.random.Generator, colors: Sequence[tuple[int, int, int]]) -> Floats:
    while True:
        candidate = rng.uniform(0, 255, size=3)
        if all(np.linalg.norm(candidate - color) > _CONTRAST for color in colors):
            return candidate.astype(np.float32)


def _grid(size: int) -> tuple[Floats, Floats]:
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - np.float32(0.5)
    return axis[None, :], axis[:, None]


def _ramp(rng: np.random.Generator, size: int) -> Floats:
    """Return a plane through 0 in a random direction: float32 [size, size], about -0.7 to 0.7."""
    x, y = _grid(size)
    angle = rng.uniform(0, 2 * np.pi)
    return np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y


def _texture(rng: np.random.Generator, size: int) -> Floats:
    """Return plain, stripes, checks or blobs: float32 [size, size] from -1 to 1."""
    kind = rng.integers(4)
    x, y = _grid(size)
    angle, wave, phase = np.float32(rng.uniform(0, np.pi)), rng.uniform(15, 60), rng.uniform(0, 6)
    if kind == 0:
        return np.zeros((size, size), dtype=np.float32)
    stripes: Floats = np.sin(wave * (np.cos(angle) * x + np.sin(angle) * y) + phase, dtype=np.float32)
    if kind == 1:
        return np.sign(stripes).astype(np.float32)
    blobs: Floats = stripes * np.sin(wave * (np.cos(angle) * y - np.sin(angle) * x) + phase, dtype=np.float32)
    return np.sign(blobs).astype(np.float32) if kind == 2 else blobs


def _scribbled(rng: np.random.Generator, canvas: Floats) -> Floats:
    """Draw up to four thin lines across the image, close to the background's own color."""
    size = canvas.shape[0]
    image = Image.fromarray(canvas.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    mean = canvas.mean(axis=(0, 1))
    for _ in range(rng.integers(5)):
        ends = rng.uniform(0, size, size=4)
        ink = (mean + rng.uniform(-60, 60, size=3)).clip(0, 255).astype(int)
        pen.line([float(end) for end in ends], fill=tuple(int(c) for c in ink), width=max(1, size // 64))
    return np.asarray(image, dtype=np.float32).copy()
