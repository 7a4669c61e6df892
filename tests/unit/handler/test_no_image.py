"""Bytes that are no image, or no more: the message says what they are, or what happened to them on the way."""

import base64
from collections.abc import Callable

import pytest
from openclip_lambda import formats
from PIL import Image

from handler.errors import ImageError
from handler.imaging.decode import decode
from tests.unit.fake_bundle import encoded, image_bytes

LIMIT = 1_000_000
JPEG = image_bytes(kind="JPEG", size=(40, 30))
KINDS = ("PNG", "JPEG", "WEBP", "GIF")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<!doctype html><html><body>404", "a web page"),
        (b"\r\n" + JPEG, "A JPEG begins at byte 2"),
        (b"<p>a text</p>", "do not start like"),
    ],
)
def test_what_is_no_image_says_what_it_is(data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        decode(data, LIMIT)
    assert caught.value.code == "not_an_image"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
def test_a_tga_is_named_and_not_taken_for_a_cursor(mode: str, compression: str | None) -> None:
    """Both begin with the same four bytes, where a TGA's colors are not compressed."""
    data = encoded(Image.new(mode, (300, 200)), "TGA", compression=compression)
    cursor = b"\0\0\2\0" + (1).to_bytes(2, "little") + bytes(60)  # an ICONDIR: its third number counts the images
    for bytes_, name in ((data, "TGA"), (cursor, "CUR")):
        with pytest.raises(ImageError, match=f"^{name} is not supported: convert it") as caught:
            decode(bytes_, LIMIT)
        assert caught.value.code == "unsupported_image_format"
        assert str(formats.why_not("a", bytes_)).startswith(f"{name} is not supported")


def as_curl_sends_it(data: bytes) -> bytes:
    """Do what `curl -d @file` does (tool_paramhlp.c, file2string): of each line what stands before a zero."""
    return b"".join(line.partition(b"\0")[0].strip(b"\r\n") for line in data.split(b"\n"))


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "curl": (as_curl_sends_it, "--data-binary"),
    "base64": (base64.b64encode, "encode a file once"),
    "a data URI": (lambda data: b"data:image/x;base64," + base64.b64encode(data), "encode a file once"),
    "text": (lambda data: data.decode("utf-8", "replace").encode(), "read as text on the way"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("change", "says"), DAMAGE.values(), ids=DAMAGE)
def test_what_a_sender_did_to_an_image_is_told(kind: str, change: Callable[[bytes], bytes], says: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(change(image_bytes((250, 10, 130), kind, (30, 30))), LIMIT)
    assert caught.value.code in ("not_an_image", "truncated_image")
    assert says in caught.value.message


def test_a_png_whose_line_ends_were_changed_is_told_so() -> None:
    """What the PNG specification made its signature for."""
    with pytest.raises(ImageError) as caught:
        decode(image_bytes().replace(b"\r\n", b"\n"), LIMIT)
    assert "Line ends" in caught.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_is_only_cut_short_is_not_said_to_be_changed(kind: str) -> None:
    data = image_bytes(kind=kind, size=(30, 30))
    with pytest.raises(ImageError) as caught:
        decode(data[: len(data) // 2], LIMIT)
    assert "on the way" not in caught.value.message
