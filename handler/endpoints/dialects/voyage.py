"""Voyage's requests: `POST /v1/multimodalembeddings`, and the fields of its own in `POST /v1/embeddings`.

docs.voyageai.com: "Multimodal embeddings", "Text embeddings". An input of several parts has the mean of their unit
vectors; `input_type` is checked and changes nothing, since CLIP's towers have no prompts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from handler.endpoints.dialects import core
from handler.endpoints.dialects.rules import Content
from handler.endpoints.embeddings import encoded
from handler.errors import ApiError
from handler.messages import Request, Response
from handler.schemas.fields import Item, refuse_token_ids
from handler.schemas.requests import FORMATS, MODEL, Either, check_parts
from handler.schemas.requests import OPTIONS as OUR_OPTIONS
from handler.schemas.validation import Body, Field, ListOf, Scalar, check_query
from handler.service import Service

PIXELS_PER_TOKEN = 560  # as Voyage counts an image
DTYPES = tuple(name for name in FORMATS if name != "base64")
OPTIONS = {
    "model": MODEL,
    "input_type": Field(Scalar(str, ("query", "document")), "Checked, and the same to CLIP's models"),
    "truncation": Field(Scalar(bool), "Whether a text that is too long is cut; false: it is refused", default=True),
    "output_dimension": Field(Scalar(int), "Nothing but the model's own number"),
    "output_dtype": Field(Scalar(str, DTYPES), "What the numbers are", default="float"),
    "encoding_format": Field(Scalar(str, ("base64",)), "The numbers' bytes, little-endian, as base64"),
    "output_encoding": Field(Scalar(str, ("base64",)), "The same, by its older name"),
}
MULTIMODAL = Body(
    "VoyageMultimodalRequest",
    "The request of Voyage's multimodal embeddings: inputs of texts and images, one vector each",
    {"inputs": Field(ListOf(Content()), "a list of inputs, each with its `content`", True), **OPTIONS},
    check_parts("inputs"),
)
TEXT = Body(
    "VoyageEmbeddingsRequest",
    "The request of Voyage's text embeddings, which takes images too",
    {
        "input": Field(ListOf(Either(), or_one=True, refuse=refuse_token_ids), "a text, or a list of texts", True),
        **OPTIONS,
    },
    check_parts("input"),
)


def respond(service: Service, request: Request) -> Response:
    """Answer `POST /v1/multimodalembeddings`. Raises ApiError."""
    fields = MULTIMODAL.of(request, service.settings)
    found, rows = _embed(service, fields["inputs"], fields)
    pixels = sum(image.width * image.height for image in core.image_facts(fields["inputs"]))
    usage = {
        "text_tokens": found.tokens,
        "image_pixels": pixels,
        "video_pixels": 0,
        "total_tokens": found.tokens + -(-pixels // PIXELS_PER_TOKEN),
    }
    return _answer(rows, found, usage)


def embeddings(service: Service, body: Any, query: Mapping[str, str]) -> Response:
    """Answer `POST /v1/embeddings` to a body with fields of Voyage's. Raises ApiError."""
    check_query(query, {*OUR_OPTIONS, *TEXT.fields})
    fields = TEXT.read(body, service.settings)
    found, rows = _embed(service, fields["input"], fields)
    return _answer(rows, found, {"prompt_tokens": found.tokens, "total_tokens": found.tokens})


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error as Voyage's API does."""
    return core.listed(error)


def _embed(service: Service, items: Sequence[Item], fields: dict[str, Any]) -> tuple[core.Embedded, list[Any]]:
    kind, packed = fields["output_dtype"], bool(fields["encoding_format"] or fields["output_encoding"])
    counted = "base64" if packed and kind == "float" else kind
    cut = None if fields["truncation"] else "none"
    found = core.embedded(
        service,
        items,
        fields["model"],
        counted,
        dimensions=fields["output_dimension"],
        cut=cut,
        base64='set encoding_format to "base64"',
    )
    if not packed or kind == "float":
        return found, encoded(found.vectors, counted)
    from handler.endpoints.quantize import as_base64, quantized

    return found, [as_base64(row) for row in quantized(found.vectors, kind)]


def _answer(rows: list[Any], found: core.Embedded, usage: dict[str, int]) -> Response:
    data = [{"object": "embedding", "embedding": row, "index": index} for index, row in enumerate(rows)]
    return Response(200, {"object": "list", "data": data, "model": found.entry.id, "usage": usage})
