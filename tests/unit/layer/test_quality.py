"""Recall with ties, its intervals, the encodings, and what models.toml says of evaluation."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.endpoints import quantize
from layer.errors import SpecError
from layer.quality import bootstrap, encodings
from layer.quality.ranking import Task, hits
from layer.spec import read_spec

MODEL = '[[model]]\nname = "hf-hub:acme/clip"\n'


def enumerated(scores: list[int], right: set[int], k: int) -> float:
    """How often a right answer is among the first k, over every order that the scores allow."""
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[one] >= scores[other] for one, other in itertools.pairwise(order))
    ]
    return sum(bool(right & set(order[:k])) for order in orders) / len(orders)


@pytest.mark.parametrize("seed", range(40))
def test_ties_count_as_their_orders_would_on_average(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 7))
    signs = np.where(rng.random((count + 1, 4)) > 0.5, 1, -1).astype(np.float32)  # few bits: many ties
    right = rng.choice(count, size=int(rng.integers(1, count)), replace=False)
    ks = [1, 2, 5]

    found = hits(Task(signs[:1], signs[1:], [right]), ks)[0]

    scores = [int(one @ signs[0]) for one in signs[1:]]
    assert found == pytest.approx([enumerated(scores, set(right.tolist()), k) for k in ks])


def test_many_queries_are_ranked_in_parts_as_in_one() -> None:
    rng = np.random.default_rng(0)
    queries, candidates = (rng.standard_normal((count, 8), np.float32) for count in (300, 200))
    right = [rng.choice(200, size=1 + place % 3, replace=False) for place in range(300)]
    cosines = queries @ candidates.T / np.linalg.norm(candidates, axis=1)
    order = np.argsort(-cosines, axis=1)
    expected = [[bool(set(right[q]) & set(order[q, :k])) for k in (1, 5, 10)] for q in range(300)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layer.quality.ranking.SCORES", 1000)
        found = hits(Task(queries, candidates, right), (1, 5, 10))

    assert found.tolist() == np.array(expected, float).tolist()


def estimates(hit: Any, image: Any, images: int) -> Any:
    [drawn] = bootstrap.draw([bootstrap.Hits(hit, image)], images)
    return bootstrap.estimates(drawn, 0)


def test_what_is_drawn_together_is_what_is_drawn_alone() -> None:
    rng = np.random.default_rng(0)
    two = [bootstrap.Hits(rng.random((count, 3)), rng.integers(0, 50, count)) for count in (80, 120)]

    for one, drawn in zip(two, bootstrap.draw(two, 50), strict=True):
        [alone] = bootstrap.draw([one], 50)
        assert np.allclose(drawn.draws, alone.draws)
        assert np.allclose(drawn.values, one.hits.mean(axis=0))


def test_the_interval_of_a_share_is_that_of_the_binomial_distribution() -> None:
    hit = np.zeros((2000, 1))
    hit[:600] = 1

    [(share, loss)] = estimates(hit, np.arange(2000), 2000)

    spread = 1.96 * math.sqrt(0.3 * 0.7 / 2000)
    assert (share.value, share.low, share.high) == pytest.approx((0.3, 0.3 - spread, 0.3 + spread), abs=0.002)
    assert (loss.low, loss.high) == (0, 0)


def test_a_loss_is_paired_so_its_interval_is_that_of_the_queries_that_changed() -> None:
    hit = np.zeros((2000, 2))
    hit[:600, 0], hit[10:600, 1] = 1, 1

    loss = estimates(hit, np.arange(2000), 2000)[1][1]

    assert loss.value == pytest.approx(0.005)
    assert 0 < loss.low < loss.high < 0.0095  # of two samples it would be 0.028 to either side


def test_captions_of_one_image_are_drawn_together() -> None:
    hit = np.repeat(np.arange(400) % 2, 5)[:, None].astype(float)  # five captions an image, all right or all wrong

    [(share, _)] = estimates(hit, np.repeat(np.arange(400), 5), 400)

    assert share.high - share.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 400), rel=0.1)


def test_the_encodings_are_those_of_the_shipped_handler() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 70), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    for encoding in ("int8", "binary"):
        assert encodings.answers(quantize.quantized(vectors, encoding).tolist(), vectors, encoding)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[gate]\nmax_recall_loss = 0.1\n", 'add [evaluate] with pairs = "captions.csv"'),
        ('[evaluate]\npairs = "a"\n[gate]\nmax_accuracy_loss = 0.1\n', "add labels to [evaluate]"),
        ('[evaluate]\npairs = "a"\n[gate]\nmax_recall_loss = 2\n', "write a share of 1"),
        ('[evaluate]\npairs = "a"\n[gate]\nmax_recall_loss = true\n', "write a share of 1"),
        ('[evaluate]\npairs = "a"\n[gate]\nmax_recal_loss = 0\n', "did you mean 'max_recall_loss'"),
        ("[evaluate]\npairs = 1\n", "write a path"),
        ('[evaluate]\nlabels = "a"\ntemplate = "a photo"\n', "write a text with one {}"),
        ("evaluate = 1\n", "write [evaluate]"),
    ],
)
def test_what_models_toml_says_of_evaluation_is_read_strictly(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text + MODEL if text.startswith("evaluate") else MODEL + text)

    with pytest.raises(SpecError) as refused:
        read_spec(path)

    assert says in str(refused.value)


def test_paths_of_models_toml_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(MODEL + '[evaluate]\npairs = "mine.csv"\n[gate]\nmax_recall_loss = 0.002\n')

    asked = read_spec(tmp_path / "models.toml").evaluation

    assert asked
    assert (asked.pairs, asked.max_recall_loss, asked.max_accuracy_loss) == (tmp_path / "mine.csv", 0.002, None)
