"""Rows to vectors: downloads and decoding run ahead of the engine, within a bounded number of bytes."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handler.batch.reader import AT_ONCE, Found, Reader
from handler.batch.rows import Embedded, Failed, Row
from handler.endpoints.embeddings import unit
from handler.engines.threads import thread_count
from handler.errors import ApiError
from handler.imaging.decode import decode_for
from handler.models import LoadedModel
from handler.settings import Settings

GROUP = 32  # images that the engine gets at once
AHEAD = 2 * GROUP  # images that are downloaded or decoded before the engine wants them
HELD_BYTES = 96_000_000  # of downloaded files that are not decoded yet


class Prepared(NamedTuple):
    """What the engine needs of one image: pixels float32 [3, H, W], and what the result says of it."""

    row: Row
    found: Found
    size: int
    width: int
    height: int
    pixels: NDArray[np.float32]


class ByteGate:
    """Lets bytes in while there is room. One file always gets in, however large it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until `size` more bytes fit, and keep their place for the work inside."""
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + size <= self._limit)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()


class Pipeline:
    """Embeds rows with one model. Its memory does not grow with the rows, nor with the sizes of the images.

    At most `thread_count` images are decoded at once, AHEAD wait as pixels, HELD_BYTES as files.
    """

    def __init__(self, model: LoadedModel, reader: Reader, settings: Settings) -> None:
        self._model = model
        self._reader = reader
        self._settings = settings
        self._gate = ByteGate(HELD_BYTES)
        self._decoding = threading.Semaphore(thread_count(settings))

    def embed(self, rows: Iterable[Row]) -> Iterator[Embedded | Failed]:
        """Yield each row's result, in the rows' order. Raises TransientError where S3 does not answer."""
        with ThreadPoolExecutor(AT_ONCE, "openclip-batch") as pool:
            try:
                yield from self._results(self._ahead(pool, rows))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _ahead(self, pool: ThreadPoolExecutor, rows: Iterable[Row]) -> Iterator[Prepared | Failed]:
        waiting: deque[Future[Prepared | Failed]] = deque()
        for row in rows:
            waiting.append(pool.submit(self._decoded, row))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _decoded(self, row: Row) -> Prepared | Failed:
        try:
            with self._gate.hold(min(row.size, self._settings.max_object_bytes)):
                found = self._reader.read(row)
                with self._decoding:
                    return self._pixels(row, found)
        except ApiError as error:
            return Failed(row, error.code, error.message)

    def _pixels(self, row: Row, found: Found) -> Prepared:
        limit, upright = self._settings.max_image_pixels, self._settings.exif_orientation
        image = decode_for(found.data, limit, upright, self._model.fit, self._model.image_formats)
        width, height = image.size
        rest = Found(b"", found.etag, found.modified)
        return Prepared(row, rest, len(found.data), width, height, self._model.preprocess.of(image))

    def _results(self, items: Iterable[Prepared | Failed]) -> Iterator[Embedded | Failed]:
        group: list[Prepared | Failed] = []
        for item in items:
            group.append(item)
            if len(group) == GROUP:
                yield from self._run(group)
                group = []
        yield from self._run(group)

    def _run(self, group: list[Prepared | Failed]) -> Iterator[Embedded | Failed]:
        decoded = [item for item in group if isinstance(item, Prepared)]
        vectors = iter(self._vectors(decoded))
        for item in group:
            if isinstance(item, Failed):
                yield item
            else:
                found = item.found
                yield Embedded(item.row, found.etag, item.size, found.modified, item.width, item.height, next(vectors))

    def _vectors(self, decoded: list[Prepared]) -> NDArray[np.float32]:
        if not decoded:
            return np.empty((0, self._model.entry.embed_dim), np.float32)
        vectors = self._model.engine.encode_images(np.stack([item.pixels for item in decoded]))
        if not np.isfinite(vectors).all():
            raise FloatingPointError(f"{self._model.entry.id} gave a vector that is not finite")
        return unit(vectors)
