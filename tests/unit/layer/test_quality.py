"""Recall with ties, its intervals, the encodings, and what is read of the user's own data."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handler.endpoints import quantize
from layer.errors import EvaluationError, SpecError
from layer.quality import bootstrap, encodings, reading
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


def images(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / name)


@pytest.mark.parametrize(
    "table",
    [
        "image,caption\na.png,one\na.png,two\nb.png,one\n",
        "filepath\ttitle\na.png\tone\na.png\ttwo\nb.png\tone\n",
        "\ufeffcaption,file_name\none,a.png\ntwo,a.png\none,b.png\n",
        "image_name| comment_number| comment\na.png| 0| one\na.png| 1| two\nb.png| 0| one\n",
        'id;text;path\r\n1;"one";a.png\r\n2;two;a.png\r\n3;one;b.png\r\n',
    ],
)
def test_a_table_is_read_whatever_its_columns_are_called(tmp_path: Path, table: str) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "captions.csv").write_text(table, encoding="utf-8")

    data = reading.pairs(tmp_path / "captions.csv")

    assert [path.name for path in data.images] == ["a.png", "b.png"]
    assert data.texts == ("one", "two")
    assert data.right == ((0, 0), (0, 1), (1, 0)), "an equal caption is right for both images"


def test_images_of_the_same_bytes_are_one_and_bad_rows_are_listed(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "c.csv").write_text("image,caption\na.png,one\ncopy.png,two\nb.png,three\ngone.png,x\n.,y\nb.png\n,z\n")

    data = reading.pairs(tmp_path / "c.csv")

    assert [path.name for path in data.images] == ["a.png", "b.png"]
    assert data.right == ((0, 0), (0, 1), (1, 2))
    assert [(Path(one.what).name, one.reason) for one in data.left_out] == [
        ("c.csv line 7", "has 1 columns of 2"),
        ("c.csv line 8", "has no image or no caption"),
        ("gone.png", "is not there"),
        (tmp_path.name, "is not a file"),
    ]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_caption_that_its_delimiter_cuts_is_left_out_and_not_half_of_it_measured(
    tmp_path: Path, delimiter: str
) -> None:
    images(tmp_path, "a.png", "b.png", "c.png")
    rows = [["image", "caption"], ["a.png", "one", " on a mat"], ["b.png", '"two\nlines"', " "], ["c.png", '"a" b']]
    (tmp_path / "c.csv").write_text("".join(delimiter.join(row) + "\n" for row in rows))

    data = reading.pairs(tmp_path / "c.csv")

    assert data.texts == ("two\nlines", "a b"), "a blank column at the end cuts nothing off"
    [left] = data.left_out
    assert left.what == "c.csv line 2"
    assert left.reason == f"has 3 columns of 2: put a text with {delimiter!r} in it into quotation marks"


def test_a_folder_has_a_txt_beside_each_image_with_a_caption_a_line(tmp_path: Path) -> None:
    images(tmp_path, "deep/a.jpg", "b.png", "lonely.png")
    (tmp_path / "deep" / "a.txt").write_text("one\n\n two \n")
    (tmp_path / "b.txt").write_bytes("three".encode("utf-16"))
    (tmp_path / "nothing.txt").write_text("x")

    data = reading.pairs(tmp_path)

    assert {path.name: data.texts[text] for path, text in ((data.images[i], t) for i, t in data.right)} == {
        "a.jpg": "two",
        "b.png": "three",
    }
    assert data.texts == ("three", "one", "two")
    assert [Path(one.what).name for one in data.left_out] == ["lonely.png", "nothing.txt"]


def test_classes_are_folders(tmp_path: Path) -> None:
    images(tmp_path, "red_fox/1.png", "red_fox/in/2.png", "owl/3.png", "stray.png")

    data = reading.labels(tmp_path, ("a photo of a {}",))

    assert data.texts == ("owl", "red fox")
    assert data.right == ((0, 0), (1, 1), (2, 1))
    assert [Path(one.what).name for one in data.left_out] == ["stray.png"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("a,b\n1,2\n", "the columns are a, b, of which none is image or filepath"),
        ("image,words\n1,2\n", "of which none is caption or title or text (name it with --caption-column)"),
        ("", "the columns are none"),
        ("image,caption\nx.png,y\n", "has no image that can be used"),
        ("image,caption\n\0,y\n", "NUL"),
        ('image,caption\na.png,"one\nb.png,two\n', "line 2 has a quotation mark that nothing closes"),
        ('image,caption\na.png,x\na.png,"one\nb.png,"two"\n', "line 3 has a quotation mark that nothing closes"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_fix(tmp_path: Path, table: str, says: str) -> None:
    (tmp_path / "c.csv").write_text(table)

    with pytest.raises(EvaluationError) as refused:
        reading.pairs(tmp_path / "c.csv")

    assert says in str(refused.value)
    assert "a CSV with a column of image paths" in str(refused.value)


def test_a_name_that_a_terminal_would_obey_does_not_reach_the_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "mine\x1b[2J\udcff"
    images(folder, "a/1.png", "b/2.png")

    assert reading.labels(folder, ("{}",)).name == "mine?[2J?"


def test_a_sample_is_the_same_each_time(tmp_path: Path) -> None:
    images(tmp_path, *(f"{name}/{number}.png" for number in range(4) for name in ("a", "b")))
    data = reading.labels(tmp_path, ("{}",))

    few = data.sample(3)

    assert few == data.sample(3)
    assert (len(few.images), few.given, few.texts) == (3, 8, ("a", "b"))


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
