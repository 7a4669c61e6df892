"""What the methods of Client and AsyncClient send and read, independent of the transport."""

import base64
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from openclip_lambda import credentials, images
from openclip_lambda.errors import ClientError, InputError, ResponseError
from openclip_lambda.exchange import MAX_JSON_BYTES
from openclip_lambda.responses import full_note, full_texts

ImageInput = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
Item = dict[str, str]

log = logging.getLogger("openclip_lambda")
FORMS = "a path, bytes, a Pillow image, a uint8 array [H, W], [H, W, 3] or [H, W, 4], or s3://bucket/key"
ITEM = re.compile(r"input\[(\d+)\](.*)")
TEMPLATE = "a photo of a {}"  # of a label, if the user gives none


def signer(api_key: str | None, sigv4: bool, region: str | None, url: str) -> credentials.Sign:
    """Return the function that signs requests to an address. Raises ClientError if the credentials cannot be used."""
    if sigv4:
        return credentials.signature(region, url)
    key = api_key or os.environ.get("OPENCLIP_API_KEY")
    return credentials.bearer(key) if key else credentials.unsigned


def address(url: str | None) -> str:
    """Return the address that was given, or the environment's."""
    found = url or os.environ.get("OPENCLIP_URL")
    if not found:
        raise ClientError("no address: give url, or set OPENCLIP_URL to the stack's output Url")
    return found


def as_images(given: ImageInput | Sequence[ImageInput]) -> list[ImageInput]:
    """Return a list; a single image becomes a list of one. Raises InputError for an open file."""
    if hasattr(given, "read"):
        raise InputError(f"{type(given).__name__} is an open file: give its path, or what its read() returns")
    single = isinstance(given, str | bytes | bytearray | memoryview | os.PathLike | Image.Image | np.ndarray)
    return [given] if single else list(given)  # type: ignore[list-item, arg-type]


def as_texts(given: str | Sequence[str]) -> list[str]:
    """Return a list; a single text becomes a list of one."""
    return [given] if isinstance(given, str) else list(given)


def image_items(given: Sequence[ImageInput], start: int, scaling: images.Scaling) -> list[Item]:
    """Return images as items of a request. Raises InputError that names the place, counted from `start`."""
    items = []
    for place, image in enumerate(given, start):
        try:
            items.append(_image_item(image, scaling))
        except InputError as error:
            raise InputError(f"images[{place}]: {error}") from error
    return items


def _image_item(image: ImageInput, scaling: images.Scaling) -> Item:
    if isinstance(image, str) and image.startswith("s3://"):
        return {"image": image}
    if isinstance(image, np.ndarray):
        image = _of_array(image)
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise InputError("it has no pixels")
        data = images.of_pillow(image, scaling)
    elif isinstance(image, bytes | bytearray | memoryview):
        data = images.prepared(bytes(image), "", scaling)
    elif not isinstance(image, str | os.PathLike):
        raise InputError(f"it is of the type {type(image).__name__}: give {FORMS}")
    else:
        from openclip_lambda.bulk.files import read_image

        path = os.fspath(image)
        data = images.prepared(read_image(path, "give the bytes that are in it"), path, scaling)
    return {"image": base64.b64encode(data).decode("ascii")}


def _of_array(array: NDArray[np.uint8]) -> Image.Image:
    shape = array.shape[:2] if array.shape[2:] == (1,) else array.shape
    if array.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (2, 3, 4))):
        found = f"this one is {array.dtype} {list(array.shape)}"
        raise InputError(f"an array has to be uint8 [H, W], [H, W, 3] or [H, W, 4]: {found}")
    return Image.fromarray(array.reshape(shape))


def requests(items: Sequence[Item]) -> Iterator[tuple[int, list[Item]]]:
    """Split items into requests of at most MAX_JSON_BYTES; yields the place of each one's first item, and its items."""
    start, size, batch = 0, 0, list[Item]()
    for place, item in enumerate(items):
        length = len(json.dumps(item))
        if batch and size + length > MAX_JSON_BYTES:
            yield start, batch
            start, size, batch = place, 0, []
        batch.append(item)
        size += length
    if batch:
        yield start, batch


def inputs(path: str, items: list[Item]) -> list[Item] | list[str]:
    """Return the items in the form of a route's `input`: /v1/classify takes images as strings."""
    return [item["image"] for item in items] if path == "/v1/classify" else items


def with_place_in_call(error: ResponseError, start: int) -> ResponseError:
    """Change an error's `param` from the place in its request to the place in the call; `start` is that of its first.

    Returns the same error.
    """
    if found := ITEM.fullmatch(error.param or ""):
        error.param = f"input[{start + int(found[1])}]{found[2]}"
    return error


def warn_of_full_texts(answer: Any) -> None:
    """Log a warning if texts of a response fill the model's context."""
    if count := full_texts(answer):
        log.warning("%s", full_note(count))


def vectors(results: Sequence[Any], start: int) -> NDArray[np.float32]:
    """Return embeddings as float32 [N, D]. Raises ResponseError for one that is not finite."""
    _check_finite(results, start)
    return np.stack([result["embedding"] for result in results])


def scores(results: Sequence[Any], labels: Sequence[str], start: int) -> NDArray[np.float32]:
    """Return scores as float32 [N, labels]. Raises ResponseError for one that is not finite."""
    _check_finite(results, start)
    return np.array([[result["scores"][label] for label in labels] for result in results], np.float32)


def _check_finite(results: Sequence[Any], start: int) -> None:
    """Raise ResponseError for a result that is not finite; `start` is the place of the first in the call."""
    for place, result in enumerate(results, start):
        if isinstance(result, InputError):
            raise ResponseError(str(result), 200, param=f"input[{place}]")


def cosines(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine of each of [N, D] with each of [M, D], as [N, M]."""
    if not rows.size or not columns.size:  # without items the number of dimensions is not known
        return np.empty((len(rows), len(columns)), np.float32)
    return unit(rows) @ unit(columns).T


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [N, D] scaled to unit length; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)
