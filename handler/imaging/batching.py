"""Decode a request's images, several at once, and yield their pixels in batches for the engine."""

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

# Images in one run of the engine, for each of its threads. More images take more memory, and are hardly faster: on one
# thread, ViT-B-32 takes 3 % less time for an image in runs of 32 than of 8 (OpenVINO), or 5 % more (ONNX Runtime).
PER_THREAD = 8
AHEAD = 32  # images decoded before the engine has them: 19 MB of pixels at 224x224

Pixels = NDArray[np.float32]
ImageItem = tuple[int, bytes, str | None]  # its index among the items, its bytes, and the `param` of an error


def images_a_run(threads: int) -> int:
    """Return the number of images in one run of the engine."""
    return PER_THREAD * threads


def read_headers(items: Sequence[ImageItem], model: "LoadedModel", settings: Settings) -> list[Container]:
    """Read every image's header before the first image is decoded, so that refusing a request costs little.

    None is read after those that are too much together: a header takes up to half a second itself, a lossless WebP's.
    Raises ImageError.
    """
    headers: list[Container] = []
    work = 0
    for _, data, param in items:
        with _error_context(param), stage("decode"):
            headers.append(read_header(data, settings.max_image_pixels, model.fit, model.image_formats))
        work += headers[-1].work
        if len(items) > 1:  # a single image has its own limit
            check_pixels(work, len(headers), len(items), settings.max_request_pixels, param)
    return headers


def batches(
    items: Sequence[ImageItem], headers: Sequence[Container], model: "LoadedModel", settings: Settings
) -> Iterator[tuple[list[int], Pixels]]:
    """Yield the indices of images, and their pixels as float32 [N, 3, H, W], a batch at a time.

    Each thread holds at most one image at its full size. No image is decoded while the engine computes: the engine uses
    every core, and waits for the slowest of its threads. Raises ImageError for the first image that cannot be decoded.
    """
    if len(items) < 2:  # for one image, a thread costs more than it saves
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
    """Set an ImageError's `param`, the item's place in the input."""
    try:
        yield
    except ImageError as error:
        error.param = param
        raise
