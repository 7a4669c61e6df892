"""What every dialect does between its request and its answer: check what it costs, embed, and count."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from handler.endpoints.embeddings import Vectors, embed, modalities, unit
from handler.errors import ApiError
from handler.imaging.decode import FORMATS, read_size
from handler.manifest import ModelEntry
from handler.schemas.fields import Item
from handler.schemas.limits import check_response_size
from handler.service import Service


class Embedded(NamedTuple):
    """`vectors` are float32 [N, D] of unit length, `tokens` what the texts had together."""

    vectors: Vectors
    tokens: int
    entry: ModelEntry


class ImageFacts(NamedTuple):
    """An image's size in pixels as its header says, its format's name in lower case, and the bits of a pixel."""

    width: int
    height: int
    format: str
    bits: int


def embedded(
    service: Service,
    items: Sequence[Item],
    model: str | None,
    *formats: str,
    dimensions: int | None = None,
    more: int = 0,
    cut: str | None = None,
    base64: str = "",
) -> Embedded:
    """Embed items at unit length; `more` is what the answer holds besides vectors, in bytes. Raises ApiError.

    `dimensions` are the request's `output_dimension`. `cut` is one of tokenizer.CUTS, where the request says what
    becomes of a text that is too long. `base64` is as in check_response_size.
    """
    entry = service.models.manifest.model(model)
    check_dimensions(dimensions, entry, "output_dimension")
    check_response_size(len(items), entry.embed_dim, *formats, more=more, base64=base64)
    vectors, tokens = embed(items, service.model(model, modalities(items)), service.settings, cut)
    return Embedded(unit(vectors), tokens, entry)


def check_dimensions(dimensions: int | None, entry: ModelEntry, param: str) -> None:
    """Raise ApiError for a length that the model's vectors do not have."""
    if dimensions not in (None, entry.embed_dim):
        raise ApiError(
            "dimensions_not_supported",
            f"{entry.id} gives {entry.embed_dim} dimensions and no others: leave `{param}` out",
            param,
        )


def image_facts(items: Sequence[Item]) -> list[ImageFacts]:
    """Return the facts of each image that was sent with the request, after it was embedded. None of those in S3."""
    return [_facts(part.value) for item in items for part in item.parts if isinstance(part.value, bytes)]


def _facts(data: bytes) -> ImageFacts:
    """Read an image as it was read to be embedded: without its metadata, for whose damage Pillow refuses a file."""
    from handler.imaging.added_formats import ADDED

    header = read_size(data, tuple(ADDED))
    bits = 24
    if header.kind in FORMATS:
        with header.open() as image:
            bits = {"1": 1, "I;16": 16, "LA": 16, "RGB": 24, "RGBA": 32, "CMYK": 32}.get(image.mode, 8)
    return ImageFacts(header.width, header.height, header.kind.lower(), bits)


def coded(error: ApiError) -> str:
    """Return the message for a shape that has no place for a code and a field: these stand in front of it."""
    named = not error.param or error.param in error.message
    return f"{error.code}: {error.message}" if named else f"{error.code}: {error.param}: {error.message}"


def listed(error: ApiError) -> dict[str, Any]:
    """Return the error as web frameworks do, and so some vendors: `{"detail": ...}`."""
    return {"detail": coded(error)}
