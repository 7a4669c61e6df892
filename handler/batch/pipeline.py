"""Rows to vectors: downloads and decoding run ahead of the engine, within a bounded number of bytes."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
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
from handler.imaging.decode import decode_container, read_header
from handler.models import LoadedModel
from handler.settings import Settings

GROUP = 32  # images that the engine gets at once
AHEAD = 2 * GROUP  # images that are downloaded or decoded before the engine wants them
HELD_BYTES = 96_000_000  # of downloaded files that are not decoded yet
DECODED_PIXELS = 80_000_000  # of the images that are decoded at once: up to 10 bytes each, with what decoders need
DECODING_PRIORITY = 10  # as of `nice`: a tenth of a processor where the engine wants it, all of it where it waits


class Prepared(NamedTuple):
    """What the result says of one image whose pixels are in its place of the group."""

    row: Row
    found: Found
    size: int
    width: int
    height: int


class Group(NamedTuple):
    """Rows that the engine gets at once: what becomes of each, and room for their pixels, float32 [GROUP, 3, H, W]."""

    results: list[Future[Prepared | Failed]]
    pixels: NDArray[np.float32]


class Gate:
    """Lets amounts in while there is room. One always gets in, however large it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until `size` more fits, and keep its place for the work inside."""
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

    While one group is computed AHEAD more images are downloaded and decoded. At most HELD_BYTES lie there as files,
    and `thread_count` images, of DECODED_PIXELS in all, are decoded at once. `computing` is the seconds that the engine
    took, `waiting` those in which it had no group to compute.
    """

    def __init__(self, model: LoadedModel, reader: Reader, settings: Settings) -> None:
        self._model = model
        self._reader = reader
        self._settings = settings
        self._files = Gate(HELD_BYTES)
        self._pixels = Gate(DECODED_PIXELS)
        self._decoding = threading.Semaphore(thread_count(settings))
        self._free: list[NDArray[np.float32]] = []
        self.computing = self.waiting = 0.0

    def embed(self, rows: Sequence[Row]) -> Iterator[Embedded | Failed]:
        """Yield each row's result, in the rows' order. Raises TransientError where S3 does not answer."""
        groups = deque[Group]()
        with ThreadPoolExecutor(AT_ONCE, "openclip-batch", _yield_to_the_engine) as pool:
            try:
                for start in range(0, len(rows), GROUP):
                    groups.append(self._begin(pool, rows[start : start + GROUP]))
                    if len(groups) > AHEAD // GROUP:
                        yield from self._finish(groups.popleft())
                while groups:
                    yield from self._finish(groups.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, rows: Sequence[Row]) -> Group:
        # Memory that was touched before: the first write to new pages costs as much as decoding a small image.
        pixels = self._free.pop() if self._free else self._model.preprocess.empty(GROUP)
        return Group([pool.submit(self._decoded, row, out) for row, out in zip(rows, pixels, strict=False)], pixels)

    def _decoded(self, row: Row, out: NDArray[np.float32]) -> Prepared | Failed:
        try:
            with self._files.hold(min(row.size, self._settings.max_object_bytes)):
                found = self._reader.read(row)
                with self._decoding:
                    return self._decode(row, found, out)
        except ApiError as error:
            return Failed(row, error.code, error.message)

    def _decode(self, row: Row, found: Found, out: NDArray[np.float32]) -> Prepared:
        limit, model = self._settings.max_image_pixels, self._model
        header = read_header(found.data, limit, model.fit, model.image_formats)
        with self._pixels.hold(header.held or header.width * header.height):
            image = decode_container(header, limit, self._settings.exif_orientation)
            model.preprocess.of(image, out)
        return Prepared(row, Found(b"", found.etag, found.modified), len(found.data), *image.size)

    def _finish(self, group: Group) -> Iterator[Embedded | Failed]:
        begun = time.perf_counter()
        results = [future.result() for future in group.results]
        self.waiting += time.perf_counter() - begun
        vectors = iter(self._vectors(group.pixels, [isinstance(item, Prepared) for item in results]))
        self._free.append(group.pixels)
        for item in results:
            if isinstance(item, Failed):
                yield item
            else:
                found = item.found
                yield Embedded(item.row, found.etag, item.size, found.modified, item.width, item.height, next(vectors))

    def _vectors(self, pixels: NDArray[np.float32], good: list[bool]) -> NDArray[np.float32]:
        if not any(good):
            return np.empty((0, self._model.entry.embed_dim), np.float32)
        begun = time.perf_counter()
        chosen = pixels[: len(good)] if all(good) else pixels[: len(good)][good]
        vectors = self._model.engine.encode_images(chosen)
        self.computing += time.perf_counter() - begun
        if not np.isfinite(vectors).all():
            raise FloatingPointError(f"{self._model.entry.id} gave a vector that is not finite")
        return unit(vectors)


def _yield_to_the_engine() -> None:
    """Let this thread have what the engine leaves of the processors: a thread of the engine's waits for the others."""
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), DECODING_PRIORITY)
