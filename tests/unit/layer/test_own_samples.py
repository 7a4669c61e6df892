"""The user's own samples: each that cannot be read is named, with the reason, before any long work."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from layer.errors import SampleError
from layer.export.samples import samples
from layer.files import own_samples

NOBODY = 65_534


def image(path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(path)


def test_images_and_texts_in_any_encoding_are_read(tmp_path: Path) -> None:
    image(tmp_path / "a.PNG")
    image(tmp_path / "b.jpg")
    (tmp_path / "c.TXT").write_bytes("圆形\r\n\r\nein Kreis\r\n".encode("utf-16"))
    (tmp_path / "d.txt").write_bytes("größer".encode("utf-8-sig"))
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "notes.md").write_bytes(b"\xff")

    own_samples.check(tmp_path)

    assert [path.name for path in own_samples.files(tmp_path)] == ["a.PNG", "b.jpg", "c.TXT", "d.txt"]
    assert own_samples.lines(tmp_path / "c.TXT") == ["圆形", "ein Kreis"]
    assert own_samples.lines(tmp_path / "d.txt") == ["größer"]


def test_files_that_are_not_compared_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image(tmp_path / "a.png")
    own_samples.check(tmp_path)
    assert "note" not in capsys.readouterr().err

    for name in ("b.heic", "c.GIF", "d.gif", "README", ".hidden.gif"):
        (tmp_path / name).write_bytes(b"GIF89a")
    for number in range(own_samples.MAX_OWN):
        shutil.copy(tmp_path / "a.png", tmp_path / f"{number}.jfif")
    own_samples.check(tmp_path)

    assert capsys.readouterr().err.splitlines() == [
        "reading samples: 0 of 200 files (0%)",
        "reading samples: 200 of 200 files (100%)",
        f"note: --samples {tmp_path}: 4 other files left out (.gif, .heic, without an ending): "
        "PNG, JPEG, WebP and .txt are compared",
        f"note: --samples {tmp_path}: the first 200 of 201 images are compared, by name",
    ]


def test_every_file_that_cannot_be_read_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "gbk.txt").write_bytes("一个红色的圆形".encode("gbk"))
    (tmp_path / "latin.txt").write_bytes("größer".encode("latin-1"))
    (tmp_path / "blank.txt").write_text(" \n\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "empty.png").touch()
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    (tmp_path / "page.png").write_text("<html>")
    image(tmp_path / "cut.jpeg")
    data = (tmp_path / "cut.jpeg").read_bytes()
    (tmp_path / "cut.jpeg").write_bytes(data[: len(data) - 40])
    os.mkfifo(tmp_path / "pipe.txt")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "more").mkdir()
    (tmp_path / "gone.webp").symlink_to(tmp_path / "nowhere")
    image(tmp_path / "good.png")

    with pytest.raises(SampleError) as caught:
        own_samples.check(tmp_path)

    message = str(caught.value)
    assert f"and {13 - own_samples.MAX_SHOWN} more" in message
    assert "good.png" not in message
    assert "torch" not in message


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", "圆形".encode("gbk"), "a.txt is not UTF-8 (line 1, byte 0xd0): save it as UTF-8"),
        ("a.txt", b"ok\ngr\xf6", "a.txt is not UTF-8 (line 2, byte 0xf6): save it as UTF-8"),
        ("a.txt", b" \n", "a.txt has no line of text"),
        ("a.txt", b"", "a.txt is empty"),
        ("a.png", b"", "a.png is empty"),
        ("a.png", b"<html>", "a.png cannot be read as an image: cannot identify image file"),
        ("a.jpg", b"\xff\xd8\xff\xe0 not really", "a.jpg cannot be read as an image: "),
    ],
)
def test_the_reason_says_what_to_do(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(SampleError) as caught:
        own_samples.check(tmp_path)
    assert says in str(caught.value)


def test_a_directory_that_is_none_or_has_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(SampleError, match=f"--samples {place} cannot be read"):
            own_samples.check(place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SampleError, match=r"has no images \(\.png, .*and no \.txt"):
        own_samples.check(tmp_path / "empty")


def test_a_file_without_rights_is_named() -> None:
    with tempfile.TemporaryDirectory() as place, not_root(Path(place)):
        image(Path(place, "a.png"))
        Path(place, "a.png").chmod(0)

        with pytest.raises(SampleError, match=r"a\.png may not be read by this user"):
            own_samples.check(Path(place))


@contextmanager
def not_root(place: Path) -> Iterator[None]:
    """Be another user where this one is root, whom no mode bits stop."""
    if os.getuid() != 0:
        yield
        return
    place.chmod(0o777)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize(
    ("size", "kept"), [((4000, 3000), (597, 448)), ((3000, 4000), (448, 597)), ((500, 400), (500, 400))]
)
def test_photographs_as_cameras_write_them_are_scaled_down_before_they_are_compared(
    tmp_path: Path, size: tuple[int, int], kept: tuple[int, int]
) -> None:
    """200 of 12 megapixels would take 28 GB as PNG: a build with 30 took 4.6."""
    Image.new("RGB", size, "red").save(tmp_path / "photo.jpg")
    _, images = samples(tmp_path, (224, 224))
    assert images[-1].size == kept
    assert images[-1].getpixel((9, 9)) == Image.open(tmp_path / "photo.jpg").getpixel((9, 9))
