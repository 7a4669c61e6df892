"""A CSV whose quotation marks do not match: no line becomes a part of another one's caption without a word."""

from pathlib import Path

import pytest
from PIL import Image

from layer.errors import EvaluationError
from layer.quality import reading


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def texts(folder: Path, rows: str) -> tuple[str, ...]:
    (folder / "c.csv").write_text(f"image,caption\n{rows}", newline="")
    return reading.pairs(folder / "c.csv").texts


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ('0.png,"a cat\n1.png,a dog\n2.png,a cow\n', 2),
        ('0.png,a cat\n1.png,"a dog\n2.png,a cow', 3),
        ('0.png,"a\ncat"\n1.png,a dog\n2.png,"a cow', 5),
        ('0.png,"a cat""\n1.png,a dog', 2),
    ],
)
def test_a_quotation_mark_that_is_open_to_the_end_is_told_with_its_line(folder: Path, rows: str, line: int) -> None:
    with pytest.raises(EvaluationError, match=rf"line {line} has a quotation mark that nothing closes"):
        texts(folder, rows)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_marks_that_match_are_read_to_the_last_line(folder: Path, end: str) -> None:
    rows = '0.png,"a ""red""\ncat"\n1.png,a 6" dog\n2.png,"a cow"'
    assert texts(folder, rows + end) == ('a "red"\ncat', 'a 6" dog', "a cow")


@pytest.mark.parametrize("blanks", ["", " ", "  "])
def test_blanks_behind_a_mark_change_nothing(folder: Path, blanks: str) -> None:
    rows = f'0.png,"a\ncat"{blanks}\n1.png,"a dog"{blanks}\n2.png,"a\n6"" cow"{blanks}'
    assert texts(folder, rows) == ("a\ncat", "a dog", 'a\n6" cow')


def test_a_table_without_a_row_has_no_image(folder: Path) -> None:
    with pytest.raises(EvaluationError, match="has no image that can be used"):
        texts(folder, "")
