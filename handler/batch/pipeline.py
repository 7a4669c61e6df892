"""Rows to vectors: downloads and decoding run ahead of the engine, within a bounded number of bytes."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handler.batch.reader import AT_ONCE, Found, LargerError, Reader
from handler.batch.rows import Embedded, Failed, Row
from handler.endpoints.embeddings import unit
from handler.engines.threads import thread_count
from handler.errors import ApiError
from handler.imaging.batching import images_a_run
from handler.imaging.decode import decode_container, read_header
from handler.models import LoadedModel
from handler.settings import Settings

AHEAD = 64  # images that are downloaded or decoded before the engine wants them
HELD_BYTES = 96_000_000  # of downloaded files that are not decoded yet
UNLISTED_BYTES = HELD_BYTES // AHEAD  # kept for a file whose size nobody said: so AHEAD of them fit
DECODED_PIXELS = 80_000_000  # of the images that are decoded at once: up to 10 bytes each, with what decoders need


class Prepared(NamedTuple):
    """What the result says of one image whose pixels are in its place of the group."""

    row: Row
    found: Found
    size: int
    width: int
    height: int


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

    Files are downloaded while the engine computes, AHEAD of them and HELD_BYTES at most. None is decoded meanwhile: the
    engine keeps every core busy, and waits for the slowest of its threads. Between two of its runs `thread_count`
    images, of DECODED_PIXELS in all, are decoded at once. `seconds` is what was spent so far: `computing` by the
    engine, `preparing` without it, of which decoders were without a file for `downloading`. `group_size` is how many
    images the engine gets at once.
    """

    def __init__(self, model: LoadedModel, reader: Reader, settings: Settings) -> None:
        self._model = model
        self._reader = reader
        self._settings = settings
        self._threads = thread_count(settings)
        self.group_size = images_a_run(self._threads)
        self._pixels = Gate(DECODED_PIXELS)
        self.seconds = {"computing": 0.0, "preparing": 0.0, "downloading": 0.0}

    def embed(self, rows: Sequence[Row]) -> Iterator[Embedded | Failed]:
        """Yield each row's result, in the rows' order. Raises TransientError where S3 does not answer."""
        # Memory that is used again: the first write to new pages costs as much as decoding a small image.
        room = self._model.preprocess.empty(self.group_size)
        downloads = ThreadPoolExecutor(AT_ONCE, "openclip-download")
        decoders = ThreadPoolExecutor(self._threads, "openclip-decode")
        try:
            files = self._files(downloads, rows)
            for _ in range(0, len(rows), self.group_size):
                yield from self._embedded(self._group(decoders, islice(files, self.group_size), room), room)
        finally:
            for pool in (downloads, decoders):
                pool.shutdown(wait=False, cancel_futures=True)

    def warm_up(self) -> None:
        """Run the engine on no image: where it ends the worker, as for its memory, no image is to blame."""
        self._model.engine.encode_images(np.zeros_like(self._model.preprocess.empty(1)))

    def _files(self, pool: ThreadPoolExecutor, rows: Sequence[Row]) -> Iterator[tuple[Row, Future[Found]]]:
        """Yield rows with their files, in order, while later ones are downloaded."""
        waiting: deque[tuple[int, Row, Future[Found]]] = deque()
        held, most = 0, self._settings.max_object_bytes
        for row in rows:
            size = min(row.size or UNLISTED_BYTES, most)
            while waiting and (len(waiting) >= AHEAD or held + size > HELD_BYTES):
                bytes_, first, file = waiting.popleft()
                held -= bytes_
                yield first, file
            waiting.append((size, row, pool.submit(self._reader.read, row, size)))
            held += size
        while waiting:
            yield waiting.popleft()[1:]

    def _group(
        self, pool: ThreadPoolExecutor, files: Iterable[tuple[Row, Future[Found]]], room: NDArray[np.float32]
    ) -> list[Prepared | Failed]:
        """Decode files into their places of `room`, [group size, 3, H, W]."""
        begun = time.perf_counter()
        under_way: deque[Future[Prepared | Failed]] = deque()
        done: list[Prepared | Failed] = []
        for (row, file), out in zip(files, room, strict=False):
            if len(under_way) > self._threads:  # what waits for a decoder is held as a file
                done.append(under_way.popleft().result())
            under_way.append(pool.submit(self._decoded, row, file, out))
        done += [one.result() for one in under_way]
        self.seconds["preparing"] += time.perf_counter() - begun
        return done

    def _decoded(self, row: Row, file: Future[Found], out: NDArray[np.float32]) -> Prepared | Failed:
        limit, model = self._settings.max_image_pixels, self._model
        begun = time.perf_counter()
        try:
            found = self._file(row, file)
            self.seconds["downloading"] += (time.perf_counter() - begun) / self._threads
            header = read_header(found.data, limit, model.fit, model.image_formats)
            with self._pixels.hold(header.held or header.width * header.height):
                image = decode_container(header, limit, self._settings.exif_orientation)
                model.pixels(image, out)
        except ApiError as error:
            return Failed(row, error.code, error.message)
        return Prepared(row, Found(b"", found.etag, found.modified), len(found.data), *image.size)

    def _file(self, row: Row, file: Future[Found]) -> Found:
        """Return a file. One with more bytes than were kept for it is read only now, when a decoder wants it."""
        try:
            return file.result()
        except LargerError:
            return self._reader.read(row, self._settings.max_object_bytes)

    def _embedded(self, group: Sequence[Prepared | Failed], room: NDArray[np.float32]) -> Iterator[Embedded | Failed]:
        vectors = iter(self._vectors(room[: len(group)], [isinstance(item, Prepared) for item in group]))
        for item in group:
            if isinstance(item, Failed):
                yield item
            else:
                found = item.found
                yield Embedded(item.row, found.etag, item.size, found.modified, item.width, item.height, next(vectors))

    def _vectors(self, pixels: NDArray[np.float32], good: list[bool]) -> NDArray[np.float32]:
        if not any(good):
            return np.empty((0, self._model.entry.embed_dim), np.float32)
        begun = time.perf_counter()
        vectors = self._model.engine.encode_images(pixels if all(good) else pixels[good])
        self.seconds["computing"] += time.perf_counter() - begun
        if not np.isfinite(vectors).all():
            raise FloatingPointError(f"{self._model.entry.id} gave a vector that is not finite")
        return unit(vectors)
