"""`POST /v1/embeddings`: OpenAI's request and response, for texts and images mixed in any order."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from handler.engines import most_tokens, token_counts
from handler.engines.text_cleaning import one_request
from handler.errors import ApiError, TextError
from handler.imaging.batching import batches, read_headers
from handler.imaging.s3 import S3Object, fetch
from handler.manifest import IMAGE, MODALITIES, TEXT, ModelEntry
from handler.messages import NOTHING, Response
from handler.schemas.fields import Item
from handler.schemas.limits import check_response_size
from handler.schemas.requests import EMBEDDINGS, OPTIONS, QUERY
from handler.schemas.validation import check_query
from handler.service import Service
from handler.settings import Settings
from handler.telemetry.invocation import current, stage

if TYPE_CHECKING:
    from handler.models import LoadedModel

TENS = np.array([float(f"1e{exponent}") for exponent in range(23)])  # the powers of ten that a float64 has exactly
TYPED = ("normalize", "dimensions", "exif_orientation")  # options that are not strings in JSON
BATCH = 32  # texts in one run: more take more memory, and are hardly faster

Vectors = NDArray[np.float32]
V = TypeVar("V")


class EmbeddingsRequest(NamedTuple):
    """A valid request: everything has been checked except the contents of images."""

    items: Sequence[Item]
    model: str | None = None
    encoding_format: str = "float"
    dimensions: int | None = None
    normalize: bool = True
    exif_orientation: bool | None = None  # None: the setting decides
    cut: str | None = None  # one of tokenizer.CUTS; None: a text that is too long is cut as open_clip does
    names: Mapping[str, str] = NOTHING  # another vendor's names of options, for error messages


def parse(body: Any, settings: Settings, query: Mapping[str, str] | None = None) -> EmbeddingsRequest:
    """Check a JSON body; options that are not in it are taken from the query string. Raises ApiError."""
    modality = body.get("modality") if isinstance(body, dict) else None
    form = EMBEDDINGS[modality] if modality in MODALITIES else EMBEDDINGS[None]
    check_query(query or {}, form.fields.keys() - OPTIONS.keys())
    fields = form.read(body, settings)
    return EmbeddingsRequest(fields["input"], **options(body, fields, query or {}, settings))


def options(
    body: Mapping[str, Any], fields: Mapping[str, Any], query: Mapping[str, str], settings: Settings
) -> dict[str, Any]:
    """Return the options: from the body, which was read as `fields`, else from the query string. Raises ApiError."""
    known = {name: text for name, text in query.items() if name in OPTIONS}
    if not known:
        return {name: fields[name] for name in OPTIONS if name in fields}
    defaults = QUERY.read(_typed(known), settings)
    return {name: fields[name] if body.get(name) is not None else defaults[name] for name in OPTIONS}


def parse_image(body: bytes, query: Mapping[str, str], settings: Settings) -> EmbeddingsRequest:
    """Read a request whose body is an image; the other fields are in the query string. Raises ApiError."""
    read = QUERY.read(_typed(query), settings)
    if not body:
        raise ApiError("empty_input", "the body is an image of no bytes")
    return EmbeddingsRequest([Item(body, None)], **read)


def _typed(query: Mapping[str, str]) -> dict[str, Any]:
    return {name: _from_query(text) if name in TYPED else text for name, text in query.items()}


def _from_query(text: str) -> str | bool | int:
    """Return a query parameter as a boolean or an integer; anything else stays a string, which its rule refuses."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdecimal() and len(text) < 10 else text


def check(request: EmbeddingsRequest, entry: ModelEntry) -> None:
    """Raise ApiError for what this model cannot answer: other dimensions, or more than a response may hold."""
    if request.dimensions not in (None, entry.embed_dim):
        raise ApiError(
            "dimensions_not_supported",
            f"{entry.id} gives {entry.embed_dim} dimensions and no others: leave `dimensions` out",
            "dimensions",
        )
    kind, normalize = request.encoding_format, request.names.get("normalize", "normalize")
    if not request.normalize and kind not in ("float", "base64"):
        message = f"{kind} is of vectors of unit length: leave `{normalize}` out, or take float or base64"
        raise ApiError("invalid_value", message, normalize)
    base64_by = f'set {request.names.get("encoding_format", "encoding_format")} to "base64"'
    check_response_size(len(request.items), entry.embed_dim, kind, base64=base64_by, param="input")


def respond(service: Service, request: EmbeddingsRequest) -> Response:
    """Answer a request that was parsed. Raises ApiError."""
    check(request, service.models.manifest.model(request.model))
    return Response(200, run(request, service.model(request.model, modalities(request.items)), service.settings))


def run(request: EmbeddingsRequest, model: "LoadedModel", settings: Settings) -> dict[str, Any]:
    """Embed the items and return the response's body. Raises ImageError for an image that cannot be embedded."""
    vectors, tokens = embed(request.items, model, as_asked(settings, request.exif_orientation), request.cut)
    if request.normalize:
        vectors = unit(vectors)
    rows = encoded(vectors, request.encoding_format)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": model.entry.id,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def as_asked(settings: Settings, exif_orientation: bool | None) -> Settings:
    """Return the settings with the request's `exif_orientation`, if it has one."""
    return settings if exif_orientation is None else settings._replace(exif_orientation=exif_orientation)


def modalities(items: Sequence[Item]) -> set[str]:
    """Return the modalities of the items, so that only the towers that are needed are loaded."""
    return {TEXT if isinstance(part.value, str) else IMAGE for item in items for part in item.parts}


def embed(
    items: Sequence[Item], model: "LoadedModel", settings: Settings, cut: str | None = None
) -> tuple[Vectors, int]:
    """Embed all texts together and all images together; `cut` is as in EmbeddingsRequest.

    Returns float32 [N, D] in the items' order, not normalized, and the number of tokens of the texts. Raises ApiError.
    """
    if any(isinstance(item.value, list) for item in items):
        return _combined(items, model, settings, cut)
    items = fetched(items, settings)
    texts = [(index, item) for index, item in enumerate(items) if isinstance(item.value, str)]
    images = [(index, item.value, item.param) for index, item in enumerate(items) if isinstance(item.value, bytes)]
    _record(len(texts), len(images), model.entry.id)
    headers = read_headers(images, model, settings)
    vectors = np.empty((len(items), model.entry.embed_dim), np.float32)
    tokens = 0
    for places, ids in _tokenized(texts, model, cut):
        lengths = token_counts(ids, model.entry.tokenizer)
        tokens += int(lengths.sum())
        most = most_tokens(model.entry.context_length, model.entry.tokenizer)
        full = [items[place].param for place in np.array(places)[lengths >= most]]
        current().full += [param for param in full if param]
        with stage("inference"):
            vectors[places] = model.engine.encode_tokens(ids)
    for places, pixels in batches(images, headers, model, settings):
        with stage("inference"):
            vectors[places] = model.engine.encode_images(pixels)
    if not np.isfinite(vectors).all():
        raise FloatingPointError(f"{model.entry.id} gave a vector that is not finite")
    return vectors, tokens


def _combined(items: Sequence[Item], model: "LoadedModel", settings: Settings, cut: str | None) -> tuple[Vectors, int]:
    """Embed the parts of every item; one of several parts is the mean of their unit vectors."""
    parts, tokens = embed([part for item in items for part in item.parts], model, settings, cut)
    vectors, start = np.empty((len(items), model.entry.embed_dim), np.float32), 0
    for index, item in enumerate(items):
        rows = parts[start : (start := start + len(item.parts))]
        vectors[index] = rows[0] if len(rows) == 1 else unit(rows).mean(axis=0)
    return vectors, tokens


def _tokenized(
    texts: Sequence[tuple[int, Item]], model: "LoadedModel", cut: str | None
) -> list[tuple[list[int], NDArray[np.int64]]]:
    """Return the texts' places and ids, a batch at a time: all of them, since a refusal must come before the work.

    Raises TextError.
    """
    found = []
    with stage("tokenize"), one_request():
        for batch in _batches(texts):
            values = [str(item.value) for _, item in batch]
            if model.own is not None:
                values = model.own.texts(values, [item.param for _, item in batch])
            try:
                found.append(([index for index, _ in batch], model.engine.tokenize(values, cut)))
            except TextError as error:
                params = (item.param for value, (_, item) in zip(values, batch, strict=True) if value == error.text)
                error.param = next(params, None)
                raise
    return found


def fetched(items: Sequence[Item], settings: Settings) -> Sequence[Item]:
    """Replace references to S3 objects by the objects' bytes. Raises ApiError."""
    wanted = [(item.value, item.param or "") for item in items if isinstance(item.value, S3Object)]
    if not wanted:
        return items
    with stage("fetch"):
        found = fetch(wanted, settings)
    return [Item(found[item.value], item.param) if isinstance(item.value, S3Object) else item for item in items]


def _record(texts: int, images: int, model_id: str) -> None:
    call = current()
    call.texts, call.images, call.model = call.texts + texts, call.images + images, model_id


def unit(vectors: Vectors) -> Vectors:
    """Scale vectors [N, D] to unit length, as torch's `normalize` does: zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), np.float32)


def _batches(items: Sequence[V]) -> Iterator[Sequence[V]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def encoded(vectors: Vectors, encoding_format: str) -> list[Any]:
    """Return each vector in its JSON form: a list of numbers, or base64 of little-endian float32."""
    if encoding_format == "float":
        return floats(vectors)
    if encoding_format == "base64":
        return [_base64(vector) for vector in vectors]
    from handler.endpoints.quantize import quantized  # late: most requests do not need it

    numbers: list[Any] = quantized(vectors, encoding_format).tolist()
    return numbers


def _base64(vector: Vectors) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def floats(vectors: Vectors) -> list[Any]:
    """Return the numbers of a vector [D], or of each of several [N, D], in 9 digits, which identify a float32.

    The 17 of a float64 would double the response's size. Numbers nearer to 0 than 1e-14 are rounded to 22 decimals.
    """
    numbers = vectors.astype(np.float64)
    decimals = 8 - np.floor(np.log10(np.maximum(np.abs(numbers), 1e-14)))
    tens = TENS[np.clip(decimals, 0, len(TENS) - 1).astype(np.int64)]
    rounded: list[Any] = (np.rint(numbers * tens) / tens).tolist()
    return rounded
