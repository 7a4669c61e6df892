"""The library: `Client`, and `AsyncClient` for asyncio."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from openclip_lambda import calls
from openclip_lambda.api import Api, AsyncApi
from openclip_lambda.bulk.pool import Pool, ordered
from openclip_lambda.calls import TEMPLATE, ImageInput, Item
from openclip_lambda.errors import ResponseError
from openclip_lambda.images import Scaling
from openclip_lambda.responses import Results

Vectors = NDArray[np.float32]
A = TypeVar("A", Api, AsyncApi)
Read = Callable[[Any, int, int], Vectors]  # of a response, its number of items, and the place of the first in the call
Prepare = Callable[[int, int], list[Item]]  # the items from one place of the call to another


class _Base(Generic[A]):
    """The parts that Client and AsyncClient share."""

    _kind: type[A]

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        sigv4: bool = False,
        region: str | None = None,
        insecure_http: bool = False,
        model: str | None = None,
        batch: int = 16,
        jobs: int = 4,
        max_side: int | None = None,
        upright: bool = False,
    ) -> None:
        if batch < 1 or jobs < 1:
            raise ValueError("batch and jobs are numbers of at least 1")
        self._batch, self._jobs = batch, jobs
        self._scaling = Scaling(max_side, upright)
        self._asked: dict[str, Any] = {"model": model} if model else {}
        if upright:
            self._asked["exif_orientation"] = True
        where = calls.address(url)
        self._api: A = self._kind(where, calls.signer(api_key, sigv4, region, where), insecure_http)

    def _ranges(self, count: int) -> list[tuple[int, int]]:
        return [(start, min(start + self._batch, count)) for start in range(0, count, self._batch)]

    def _texts(self, texts: str | Sequence[str]) -> tuple[int, Prepare]:
        listed = calls.as_texts(texts)
        return len(listed), lambda start, end: [{"text": text} for text in listed[start:end]]

    def _images(self, images: ImageInput | Sequence[ImageInput]) -> tuple[int, Prepare]:
        listed = calls.as_images(images)
        return len(listed), lambda start, end: calls.image_items(listed[start:end], start, self._scaling)

    def _embedding(self) -> tuple[dict[str, Any], Read]:
        results = Results()
        read: Read = lambda answer, count, start: calls.vectors(results.embeddings(answer, count), start)  # noqa: E731
        return {"encoding_format": "base64", **self._asked}, read

    def _classifying(self, labels: str | Sequence[str], template: str) -> tuple[dict[str, Any], Read]:
        results, listed = Results(), calls.as_texts(labels)  # a string is one label, and not a list of letters
        read: Read = lambda answer, count, start: calls.scores(  # noqa: E731
            results.scores(answer, count, listed), listed, start
        )
        return {"labels": listed, "template": template, **self._asked}, read


class Client(_Base[Api]):
    """A deployed API. Use it as a context manager, or call `close`; several threads may use one.

    `url` and `api_key` default to OPENCLIP_URL and OPENCLIP_API_KEY. `sigv4` signs with the AWS credentials found here
    (needs botocore). `model` defaults to the API's first. Long inputs are sent `batch` items a request, `jobs` requests
    at once. Images that the API would refuse for their size are scaled; `max_side` (pixels) scales all that are larger,
    `upright` turns them as their EXIF says.

    An image is a path, its bytes, a Pillow image, uint8 [H, W, 3], or an `s3://bucket/key`; HEIC needs pillow-heif.
    Raises ClientError for an address or credentials that cannot be used, and from every method ResponseError (`status`,
    `code`, `param`) where the API refuses or does not answer, InputError for an image that cannot be sent.
    """

    _kind = Api

    def embed_texts(self, texts: str | Sequence[str]) -> Vectors:
        """Return the embeddings of N texts, float32 [N, D] of unit length; one text is N = 1."""
        return self._send_all("/v1/embeddings", *self._texts(texts), *self._embedding())

    def embed_images(self, images: ImageInput | Sequence[ImageInput]) -> Vectors:
        """Return the embeddings of N images, float32 [N, D] of unit length; one image is N = 1."""
        return self._send_all("/v1/embeddings", *self._images(images), *self._embedding())

    def classify(
        self, images: ImageInput | Sequence[ImageInput], labels: str | Sequence[str], template: str = TEMPLATE
    ) -> Vectors:
        """Return the score of each of L labels for N images, float32 [N, L], by the model's own scale and bias.

        `template` has `{}` where the label goes.
        """
        return self._send_all("/v1/classify", *self._images(images), *self._classifying(labels, template))

    def similarity(self, images: ImageInput | Sequence[ImageInput], texts: str | Sequence[str]) -> Vectors:
        """Return the cosine of each of N images with each of M texts, float32 [N, M]."""
        of_one = self._embedding()  # shared, so that a bundle that changes between the two calls is an error
        rows = self._send_all("/v1/embeddings", *self._images(images), *of_one)
        return calls.cosines(rows, self._send_all("/v1/embeddings", *self._texts(texts), *of_one))

    def models(self) -> list[dict[str, Any]]:
        """Return the models there: `id`, `embed_dim`, `context_length`, `image_size`, `modalities`."""
        found: list[dict[str, Any]] = self._api.get("/v1/models")["data"]
        return found

    def health(self, deep: bool = False) -> dict[str, Any]:
        """Return what runs there. `deep` hashes the bundle and compares the golden vectors."""
        found: dict[str, Any] = self._api.get("/health?deep=true" if deep else "/health")
        return found

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _send_all(self, path: str, count: int, prepare: Prepare, asked: dict[str, Any], read: Read) -> Vectors:
        ranges = self._ranges(count)
        pool = Pool(min(self._jobs, len(ranges))) if len(ranges) > 1 and self._jobs > 1 else None
        try:
            found = list(ordered(pool, partial(self._send_range, path, prepare, asked, read), ranges, 2 * self._jobs))
        finally:
            if pool:
                pool.stop()
        return np.concatenate(found) if found else np.empty((0, 0), np.float32)

    def _send_range(
        self, path: str, prepare: Prepare, asked: dict[str, Any], read: Read, places: tuple[int, int]
    ) -> Vectors:
        found = []
        for offset, items in calls.requests(prepare(*places)):
            start = places[0] + offset
            try:
                answer = self._api.post(path, {"input": calls.inputs(path, items), **asked})
            except ResponseError as error:
                raise calls.with_place_in_call(error, start)  # noqa: B904 - the same error
            calls.warn_of_full_texts(answer)
            found.append(read(answer, len(items), start))
        return np.concatenate(found)


class AsyncClient(_Base[AsyncApi]):
    """The same for asyncio: every method of Client, to be awaited; images are read and scaled in threads.

    Takes the arguments of Client, and raises as it does. Use it as an async context manager, or await `close`.
    """

    _kind = AsyncApi

    async def embed_texts(self, texts: str | Sequence[str]) -> Vectors:
        """Return the embeddings of N texts, float32 [N, D] of unit length; one text is N = 1."""
        return await self._send_all("/v1/embeddings", *self._texts(texts), *self._embedding())

    async def embed_images(self, images: ImageInput | Sequence[ImageInput]) -> Vectors:
        """Return the embeddings of N images, float32 [N, D] of unit length; one image is N = 1."""
        return await self._send_all("/v1/embeddings", *self._images(images), *self._embedding())

    async def classify(
        self, images: ImageInput | Sequence[ImageInput], labels: str | Sequence[str], template: str = TEMPLATE
    ) -> Vectors:
        """Return the score of each of L labels for N images, float32 [N, L], by the model's own scale and bias."""
        return await self._send_all("/v1/classify", *self._images(images), *self._classifying(labels, template))

    async def similarity(self, images: ImageInput | Sequence[ImageInput], texts: str | Sequence[str]) -> Vectors:
        """Return the cosine of each of N images with each of M texts, float32 [N, M]."""
        of_one = self._embedding()  # as above
        both = self._images(images), self._texts(texts)
        return calls.cosines(*await _together(self._send_all("/v1/embeddings", *one, *of_one) for one in both))

    async def models(self) -> list[dict[str, Any]]:
        """Return the models there: `id`, `embed_dim`, `context_length`, `image_size`, `modalities`."""
        found: list[dict[str, Any]] = (await self._api.get("/v1/models"))["data"]
        return found

    async def health(self, deep: bool = False) -> dict[str, Any]:
        """Return what runs there. `deep` hashes the bundle and compares the golden vectors."""
        found: dict[str, Any] = await self._api.get("/health?deep=true" if deep else "/health")
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def _send_all(self, path: str, count: int, prepare: Prepare, asked: dict[str, Any], read: Read) -> Vectors:
        free = asyncio.Semaphore(self._jobs)

        async def one(places: tuple[int, int]) -> Vectors:
            async with free:
                return await self._send_range(path, prepare, asked, read, places)

        found = await _together(map(one, self._ranges(count)))
        return np.concatenate(found) if found else np.empty((0, 0), np.float32)

    async def _send_range(
        self, path: str, prepare: Prepare, asked: dict[str, Any], read: Read, places: tuple[int, int]
    ) -> Vectors:
        found = []
        for offset, items in calls.requests(await asyncio.to_thread(prepare, *places)):
            start = places[0] + offset
            try:
                answer = await self._api.post(path, {"input": calls.inputs(path, items), **asked})
            except ResponseError as error:
                raise calls.with_place_in_call(error, start)  # noqa: B904 - the same error
            calls.warn_of_full_texts(answer)
            found.append(read(answer, len(items), start))
        return np.concatenate(found)


async def _together(works: Iterable[Coroutine[Any, Any, Vectors]]) -> list[Vectors]:
    """Await all at once. The first error is raised, and the others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        raise
