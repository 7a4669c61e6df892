"""Bytes that are no image, or no more: the message says what they are, or what happened to them on the way."""

import base64
from collections.abc import Callable

import pytest

from handler.errors import ImageError
from handler.imaging.decode import decode
from tests.unit.fake_bundle import image_bytes

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
