"""What the deep health check, and the build's gate, compare with open_clip: token ids, and the least cosine of all."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handler import golden
from handler.manifest import Golden, Manifest
from tests.unit.fake_bundle import as_base64, image_bytes, little_endian

GOLDEN = [1.0, 0.0]
IDS = [[1, 0], [2, 0]]


def at(cosine: float) -> list[float]:
    """A vector of another length than 1 that has this cosine to GOLDEN."""
    return [3 * cosine, 3 * math.sqrt(1 - cosine**2)]


def report_of(
    texts: list[list[float]],
    images: list[list[float]],
    precision: str = "fp32",
    ids: list[list[int]] | None = None,
    told: list[list[int]] | None = None,
) -> dict[str, Any]:
    """Compare a model that gives these vectors with open_clip's, which are GOLDEN; `told` are ids of one more text."""
    known = {"a": (ids or IDS)[0], "b": (ids or IDS)[1], "a <red>": (told or [[1, 2]])[0]}
    engine = SimpleNamespace(
        tokenize=lambda given: np.array([known[text] for text in given]),
        encode_tokens=lambda _: np.array(texts, np.float32),
        encode_images=lambda _: np.array(images, np.float32),
    )
    vectors, shown = [little_endian(GOLDEN)] * 2, [as_base64(image_bytes())] * 2
    samples = Golden(["a", "b"], IDS, vectors, shown, vectors, *((["a <red>"], [[1, 2]]) if told else ()))
    entry = SimpleNamespace(id="m", precision=precision, golden=None if told else samples)
    preprocess = SimpleNamespace(of=lambda _: np.zeros((3, 2, 2)))
    model = SimpleNamespace(engine=engine, entry=entry, preprocess=preprocess, load_seconds=0.0, own=None)
    models: Any = SimpleNamespace(get=lambda _: model, engine_facts=lambda _: {})
    report = golden.compare(Manifest(Path(), b"", (entry,), ()), models, samples if told else None)  # type: ignore[arg-type]
    assert report["ok"] is report["models"][0]["ok"]
    return report["models"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("made", "equal"), [([[1, 2]], True), ([[1, 3]], False)])
def test_a_tokenizer_that_drops_an_option_is_no_equal(made: list[list[int]], equal: bool) -> None:
    """`made` are the ids that the handler's tokenizer gives for the one text that shows the option."""
    report = report_of([GOLDEN] * 2, [GOLDEN] * 2, told=made)
    assert report["token_ids_equal"] is equal
    assert report["ok"] is equal


@pytest.mark.parametrize("told", [None, [[1, 2]]])
def test_other_ids_of_a_golden_text_are_no_equal(told: list[list[int]] | None) -> None:
    report = report_of([GOLDEN] * 2, [GOLDEN] * 2, ids=[[1, 0], [3, 0]], told=told)
    assert report["token_ids_equal"] is False
    assert report["ok"] is False


@pytest.mark.parametrize("modality", ["text", "image"])
@pytest.mark.parametrize(
    ("precision", "vector", "cosine", "ok"),
    [
        ("fp32", at(0.999992), 0.999992, True),
        ("fp32", at(0.999988), 0.999988, False),
        ("int8", at(0.99902), 0.99902, True),
        ("int8", at(0.99898), 0.99898, False),
        ("int8", at(-1), -1, False),
        ("int8", [0.0, 0.0], -1, False),  # no direction
        ("int8", [float("nan"), 1.0], -1, False),
        ("int8", [float("inf"), 1.0], -1, False),
    ],
)
def test_the_worst_vector_of_each_tower_has_to_be_exact(
    modality: str, precision: str, vector: list[float], cosine: float, ok: bool
) -> None:
    good, bad = [at(1), at(1)], [at(1), vector]
    report = report_of(bad if modality == "text" else good, bad if modality == "image" else good, precision)
    assert report["ok"] is ok
    other = {"text": "image", "image": "text"}[modality]
    assert report[f"min_{modality}_cosine"] == pytest.approx(cosine, abs=1e-6)
    assert report[f"min_{other}_cosine"] == pytest.approx(1)
