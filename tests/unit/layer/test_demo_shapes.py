"""The demo's images and captions: the same from the same seed, and every class to be told from every other."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from layer.demo import rendering
from layer.demo.captions import LANGUAGES, TEMPLATES, caption
from layer.demo.outlines import OUTLINES
from layer.demo.shapes import COLORS, SHAPES, THINGS, Thing, draw, random_pair, swapped

CIRCLE, SQUARE = Thing("red", "circle"), Thing("blue", "square")


def pixels(seed: int, *things: Thing, size: int = 64) -> NDArray[np.float64]:
    return np.asarray(draw(np.random.default_rng(seed), things, size), dtype=np.float64)


def nearest_color(rgb: NDArray[np.float64]) -> str:
    return min(COLORS, key=lambda name: float(np.linalg.norm(rgb - COLORS[name])))


def test_there_are_at_least_eight_colors_and_six_shapes() -> None:
    assert len(COLORS) >= 8
    assert len(SHAPES) >= 6
    assert len(set(THINGS)) == len(COLORS) * len(SHAPES)


def test_a_seed_draws_the_same_image_again_and_another_seed_another() -> None:
    assert np.array_equal(pixels(1, CIRCLE), pixels(1, CIRCLE))
    assert not np.array_equal(pixels(1, CIRCLE), pixels(2, CIRCLE))


@pytest.mark.parametrize("size", [64, 256])
def test_an_image_is_rgb_of_the_size_asked_for(size: int) -> None:
    drawn = draw(np.random.default_rng(0), [CIRCLE], size)
    assert (drawn.mode, drawn.size) == ("RGB", (size, size))


def test_a_larger_image_shows_the_same_scene() -> None:
    large = draw(np.random.default_rng(5), [CIRCLE], 256).resize((64, 64), Image.Resampling.BOX)
    assert np.abs(pixels(5, CIRCLE) - np.asarray(large, dtype=np.float64)).mean() < 20


@pytest.mark.parametrize("seed", range(20))
def test_exchanging_the_colors_changes_only_the_colors(seed: int) -> None:
    first, second = pixels(seed, CIRCLE, SQUARE, size=256), pixels(seed, *swapped((CIRCLE, SQUARE)), size=256)
    changed = np.abs(first - second).sum(axis=2) > 150
    assert 0.05 < changed.mean() < 0.5
    assert np.abs(first - second)[~changed].mean() < 5
    seen = [tuple(map(nearest_color, pair)) for pair in zip(first[changed][::97], second[changed][::97], strict=True)]
    exchanged = seen.count(("red", "blue")) + seen.count(("blue", "red"))
    assert exchanged > 0.7 * len(seen), f"seen at the places that changed: {set(seen)}"


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: f"{thing.color}-{thing.shape}")
def test_a_thing_wears_its_color(thing: Thing) -> None:
    other = Thing("black" if thing.color == "white" else "white", "square" if thing.shape != "square" else "circle")
    for seed in range(2):
        first, second = pixels(seed, thing, other), pixels(seed, *swapped((thing, other)))
        changed = np.abs(first - second).sum(axis=2) > 150
        seen = {nearest_color(np.median(first[changed & lit], axis=0)) for lit in _darker_and_lighter(first, second)}
        assert thing.color in seen, f"seed {seed}: saw {seen}"


def _darker_and_lighter(first: NDArray[np.float64], second: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    lighter = first.sum(axis=2) > second.sum(axis=2)
    return [lighter, ~lighter]


def _filled(shape: str, turned: float) -> NDArray[np.bool_]:
    image = Image.new("L", (96, 96))
    pen = ImageDraw.Draw(image)
    turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    for points, ink in OUTLINES[shape]:
        pen.polygon([(x, y) for x, y in (points @ turn.T * 46 + 48).tolist()], fill=ink)
    return np.asarray(image) > 0


@pytest.mark.parametrize(("one", "other"), list(combinations(SHAPES, 2)))
def test_no_shape_looks_like_another_however_turned(one: str, other: str) -> None:
    upright = _filled(one, 0)
    turned = [_filled(other, angle) for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False)]
    overlap = max((upright & mask).sum() / (upright | mask).sum() for mask in turned)
    assert overlap < 0.8


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outline_stays_within_a_tenth_of_the_unit_circle(shape: str) -> None:
    for points, ink in OUTLINES[shape]:
        assert ink == 0 or np.hypot(*points.T).max() <= 1.1


def test_a_random_pair_differs_in_color_and_in_shape() -> None:
    for seed in range(100):
        first, second = random_pair(np.random.default_rng(seed))
        assert first.color != second.color
        assert first.shape != second.shape


def test_training_and_held_out_images_differ() -> None:
    training, _ = rendering.single(rendering.TRAINING, 0)
    held_out, _ = rendering.single(rendering.HELD_OUT, 0)
    assert not np.array_equal(np.asarray(training), np.asarray(held_out))


def test_the_numbers_of_single_images_walk_through_every_class() -> None:
    assert {rendering.single(2, number)[1] for number in range(len(THINGS))} == {(thing,) for thing in THINGS}


def test_captions_read_as_they_should() -> None:
    orange = Thing("orange", "star")
    assert caption([CIRCLE], "en") == "a photo of a red circle"
    assert caption([orange], "en", template=1) == "an orange star"
    assert caption([orange, SQUARE], "en") == "a photo of an orange star and a blue square"
    assert caption([CIRCLE], "zh", template=1) == "一个红色的圆形"
    assert caption([CIRCLE, SQUARE], "zh", template=4) == "这是一个红色的圆形和一个蓝色的正方形"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_class_has_its_own_caption_in_every_template(language: str) -> None:
    captions = {caption([thing], language, number) for number in range(len(TEMPLATES[language])) for thing in THINGS}
    assert len(captions) == len(THINGS) * len(TEMPLATES[language])
