"""A request's images as batches of pixels: several decoded at once, and the next batch while the engine computes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handler.engines.threads import thread_count
from handler.errors import ImageError
from handler.imaging.budget import check_pixels
from handler.imaging.container import Container
from handler.imaging.decode import decode_container, read_header
from handler.settings import Settings
from handler.telemetry.invocation import stage

if TYPE_CHECKING:
    from handler.models import LoadedModel

# Images that the engine gets at once, for each of its threads. With more, its activations grow, and hardly its speed:
# on one thread ViT-B-32 takes 3 % less time an image by 32 than by 8 (OpenVINO), or 5 % more (ONNX Runtime).
PER_THREAD = 8
AHEAD = 32  # images decoded before the engine has them: 19 MB of pixels at 224x224

Pixels = NDArray[np.float32]
ImageItem = tuple[int, bytes, str | None]  # its place among the items, its bytes, and what an error calls that place


def images_a_run(threads: int) -> int:
    """Return how many images the engine gets at once."""
    return PER_THREAD * threads


def read_headers(items: Sequence[ImageItem], model: "LoadedModel", settings: Settings) -> list[Container]:
    """Read every image's header before the first is decoded: a batch that will be refused costs next to nothing.

    Raises ImageError.
    """
    headers = []
    for _, data, param in items:
        with _error_context(param), stage("decode"):
            headers.append(read_header(data, settings.max_image_pixels, model.fit, model.image_formats))
    if len(items) > 1:  # the one has its own limit
        check_pixels(sum(header.work for header in headers), len(items), settings.max_request_pixels)
    return headers


def batches(
    items: Sequence[ImageItem], headers: Sequence[Container], model: "LoadedModel", settings: Settings
) -> Iterator[tuple[list[int], Pixels]]:
    """Yield the images' places, and their pixels as float32 [N, 3, H, W], a batch at a time.

    At most one image a thread is ever held at its full size, and none is decoded while the engine computes: it keeps
    every core busy, and waits for the slowest of its threads. Raises ImageError for the first that is none.
    """
    if len(items) < 2:  # no thread is worth it
        for item, header in zip(items, headers, strict=True):
            pixels = model.preprocess.empty(1)
            _decode(item, header, pixels[0], model, settings)
            yield [item[0]], pixels
        return
    from concurrent.futures import ThreadPoolExecutor  # late: a request of one item needs none

    threads = thread_count(settings)
    pool, group = ThreadPoolExecutor(threads, "openclip-decode"), images_a_run(threads)
    try:
        for start in range(0, len(items), AHEAD):
            ahead = items[start : start + AHEAD]
            pixels = model.preprocess.empty(len(ahead))
            under_way = [
                pool.submit(copy_context().run, _decode, item, header, out, model, settings)
                for item, header, out in zip(ahead, headers[start : start + AHEAD], pixels, strict=True)
            ]
            for done in under_way:
                done.result()
            for run in range(0, len(ahead), group):
                yield [place for place, _, _ in ahead[run : run + group]], pixels[run : run + group]
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(item: ImageItem, header: Container, out: Pixels, model: "LoadedModel", settings: Settings) -> None:
    with _error_context(item[2]):
        with stage("decode"):
            decoded = decode_container(header, settings.max_image_pixels, settings.exif_orientation)
        with stage("preprocess"):
            model.pixels(decoded, out)


@contextmanager
def _error_context(param: str | None) -> Iterator[None]:
    """Let an ImageError name the item's place in the input."""
    try:
        yield
    except ImageError as error:
        error.param = param
        raise
