"""What is read of the user's own data: tables, images with a .txt beside each, a folder for each class."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from layer.errors import EvaluationError
from layer.quality import reading


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
    (tmp_path / "wolf").mkdir()

    data = reading.labels(tmp_path, ("a photo of a {}",))

    assert data.texts == ("owl", "red fox")
    assert data.right == ((0, 0), (1, 1), (2, 1))
    assert [Path(one.what).name for one in data.left_out] == ["stray.png", "wolf"]


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

    few = reading.labels(tmp_path, ("{}",), 3)

    assert few == reading.labels(tmp_path, ("{}",), 3)
    assert (len(few.images), few.given, few.texts) == (3, 8, ("a", "b"))


def test_of_a_large_set_only_the_sample_is_read_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images(tmp_path, *(f"{number}.png" for number in range(40)))
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(f"number {number}")
    opened: list[str] = []
    real = Path.open

    def noted(path: Path, *mode: Any) -> Any:
        opened.append(path.name)
        return real(path, *mode)

    monkeypatch.setattr(Path, "open", noted)

    data = reading.pairs(tmp_path, limit=10)

    assert sorted(name for name in opened if name.endswith(".png")) == sorted(path.name for path in data.images)
    assert (len(data.images), len(data.texts), data.given) == (10, 10, 40)
    assert "hashing images: 10 of 10 images" in capsys.readouterr().err


def test_a_sample_is_as_large_as_asked_for_where_files_are_equal_or_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """31 of 60 files differ, and 10 of those cannot be opened."""
    for number in range(60):
        image = tmp_path / "ab"[number % 2] / f"{number}.png"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(b"same" if number % 2 else b"%d" % number)
    real = Path.open

    def closed(path: Path, *mode: Any) -> Any:
        if path.stem in {str(number) for number in range(0, 20, 2)}:
            raise PermissionError(13, "Permission denied")
        return real(path, *mode)

    whole, some = reading.labels(tmp_path, ("{}",)), reading.labels(tmp_path, ("{}",), 20)
    monkeypatch.setattr(Path, "open", closed)
    opened, few = reading.labels(tmp_path, ("{}",), 20), reading.labels(tmp_path, ("{}",), 30)

    assert [(len(data.images), data.given) for data in (whole, some)] == [(31, 31), (20, 60)]
    assert len(opened.images) == 20
    assert opened.given == 60 - len(opened.left_out)
    assert (len(few.images), few.given, len(few.left_out)) == (21, 21, 10), "all were tried"
