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
from handler.imaging.decode import decode_for, read_header
from handler.settings import Settings
from handler.telemetry.invocation import stage

if TYPE_CHECKING:
    from concurrent.futures import Future

    from handler.models import LoadedModel

BATCH = 8  # images a run: activations grow with it, speed hardly does

Pixels = NDArray[np.float32]
ImageItem = tuple[int, bytes, str | None]  # its place among the items, its bytes, and what an error calls that place


def check_headers(items: Sequence[ImageItem], model: "LoadedModel", settings: Settings) -> None:
    """Read every image's header before the first is decoded: a batch that will be refused costs next to nothing."""
    if len(items) < 2:
        return  # the one has its own limit
    total = 0
    for _, data, param in items:
        with _error_context(param):
            total += read_header(data, settings.max_image_pixels, model.fit).work
    check_pixels(total, len(items), settings.max_request_pixels)


def batches(items: Sequence[ImageItem], model: "LoadedModel", settings: Settings) -> Iterator[tuple[list[int], Pixels]]:
    """Yield the images' places, and their pixels as float32 [N, 3, H, W], a batch at a time.

    At most one image a thread is ever held at its full size. Raises ImageError for the first that is none.
    """
    if len(items) < 2:  # no thread is worth it
        yield from (([item[0]], _pixels(item, model, settings)[None]) for item in items)
        return
    from concurrent.futures import ThreadPoolExecutor  # late: a request of one item needs none

    runs = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    pool = ThreadPoolExecutor(thread_count(settings), "openclip-decode")

    def begin(run: Sequence[ImageItem]) -> "list[Future[Pixels]]":
        return [pool.submit(copy_context().run, _pixels, item, model, settings) for item in run]

    try:
        under_way = begin(runs[0])
        for run, following in zip(runs, [*runs[1:], ()], strict=True):
            pixels = np.stack([item.result() for item in under_way])
            under_way = begin(following)
            yield [place for place, _, _ in run], pixels
    finally:
        pool.shutdown(cancel_futures=True)


def _pixels(item: ImageItem, model: "LoadedModel", settings: Settings) -> Pixels:
    _, data, param = item
    with _error_context(param):
        with stage("decode"):
            decoded = decode_for(data, settings.max_image_pixels, settings.exif_orientation, model.fit)
        with stage("preprocess"):
            return model.preprocess.of(decoded)


@contextmanager
def _error_context(param: str | None) -> Iterator[None]:
    """Let an ImageError name the item's place in the input."""
    try:
        yield
    except ImageError as error:
        error.param = param
        raise
