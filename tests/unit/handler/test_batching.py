"""Images of one request are decoded several at once: in order, within limits, the first bad one named."""

import io
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handler.errors import ImageError
from handler.imaging import batching
from handler.imaging.reduced import Decoded
from handler.settings import Settings
from handler.telemetry.invocation import Call, active

SETTINGS = Settings(threads=2)


class Model:
    """Keeps of an image its red alone, and counts how many are in its hands."""

    fit = None
    image_formats = ()

    def __init__(self, *refused: int, meet: Callable[[], object] = lambda: None) -> None:
        self.preprocess, self._meet = self, meet
        self.refused = refused
        self.held = self.most_held = 0
        self._lock = threading.Lock()

    def empty(self, count: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
        return np.empty((count, 3, 1, 1), np.float32)

    def pixels(self, decoded: Decoded, out: "np.ndarray[Any, np.dtype[np.float32]]") -> None:
        with self._lock:
            self.held += 1
            self.most_held = max(self.most_held, self.held)
        self._meet()
        threading.Event().wait(0.005)
        with self._lock:
            self.held -= 1
        out[:] = red = decoded.image.getpixel((0, 0))[0]  # type: ignore[index]
        if red in self.refused:
            raise ImageError("truncated_image", "no more of it")


def run(items: list[batching.ImageItem], model: Model) -> "list[tuple[list[int], batching.Pixels]]":
    headers = batching.read_headers(items, model, SETTINGS)  # type: ignore[arg-type]
    return list(batching.batches(items, headers, model, SETTINGS))  # type: ignore[arg-type]


def item(number: int) -> batching.ImageItem:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 0, 0)).save(buffer, "PNG")
    return 100 + number, buffer.getvalue(), f"input[{number}]"


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 21, 32, 33, 75])
def test_every_image_comes_out_at_its_place(count: int) -> None:
    found = run([item(number) for number in range(count)], Model())

    assert [place for places, _ in found for place in places] == [100 + number for number in range(count)]
    assert [float(pixels[0, 0, 0]) for _, batch in found for pixels in batch] == list(range(count))
    assert all(len(places) <= 16 for places, _ in found)  # eight for each of two threads


def test_as_many_are_held_as_there_are_threads() -> None:
    two = threading.Barrier(2, timeout=60)  # breaks, as an error, unless a second one is held at the same time
    model = Model(meet=two.wait)
    run([item(number) for number in range(24)], model)
    assert model.most_held == 2


@pytest.mark.parametrize("bad", [0, 5, 13])
def test_the_first_bad_image_is_named_and_no_thread_is_left(bad: int) -> None:
    items = [item(number) for number in range(16)]
    for number in (bad, 15):
        items[number] = (*items[number][:1], b"not an image", items[number][2])

    with pytest.raises(ImageError) as caught:
        run(items, Model())

    assert (caught.value.code, caught.value.param) == ("not_an_image", f"input[{bad}]")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("openclip-decode")]


@pytest.mark.parametrize("bad", [0, 5, 33])
def test_the_first_that_cannot_be_decoded_is_named_and_no_thread_is_left(bad: int) -> None:
    with pytest.raises(ImageError) as caught:
        run([item(number) for number in range(40)], Model(bad, 35))

    assert (caught.value.code, caught.value.param) == ("truncated_image", f"input[{bad}]")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("openclip-decode")]


def test_nothing_is_decoded_while_the_engine_computes() -> None:
    model, items = Model(), [item(number) for number in range(70)]
    headers = batching.read_headers(items, model, SETTINGS)  # type: ignore[arg-type]
    for _ in batching.batches(items, headers, model, SETTINGS):  # type: ignore[arg-type]
        threading.Event().wait(0.01)
        assert model.held == 0


def test_the_call_counts_what_its_threads_did() -> None:
    call = Call()
    with active(call):
        run([item(number) for number in range(10)], Model())
    assert call.stages["preprocess"].seconds >= 10 * 0.005
    assert call.stages["decode"].seconds > 0
