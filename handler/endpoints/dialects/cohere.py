"""`POST /v2/embed` as Cohere's clients send it: texts, images, or inputs of both, in several formats at once.

docs.cohere.com: "Embed API (v2)". CLIP's towers know no kinds of input, so `input_type` is checked and changes nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

from handler.endpoints.dialects.core import coded, embedded, image_facts
from handler.endpoints.dialects.rules import Content
from handler.endpoints.embeddings import encoded
from handler.errors import ApiError
from handler.manifest import ModelEntry
from handler.messages import Request, Response
from handler.schemas.fields import IMAGE, TEXT
from handler.schemas.requests import CUTS, FORMATS, MODEL, check_parts
from handler.schemas.validation import Body, Field, ListOf, Scalar
from handler.service import Service
from handler.settings import Settings
from handler.telemetry.invocation import current

INPUT_TYPES = ("search_document", "search_query", "classification", "clustering", "image")
TYPES = ListOf(Scalar(str, FORMATS), most=len(FORMATS))
SOURCES = ("texts", "images", "inputs")


def _check(values: Mapping[str, Any], settings: Settings) -> None:
    given = [name for name in SOURCES if values[name]]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise ApiError("missing_input", f"send one of {', '.join(SOURCES)}: there is {found}", "texts")
    check_parts("inputs")(values, settings)


REQUEST = Body(
    "CohereEmbedRequest",
    "The request of Cohere's embed API, version 2: one of `texts`, `images` and `inputs`",
    {
        "model": MODEL,
        "input_type": Field(Scalar(str, INPUT_TYPES), "checked, and the same to CLIP's models", True),
        "texts": Field(ListOf(TEXT, or_none=True), "Texts to embed"),
        "images": Field(ListOf(IMAGE, or_none=True), "Images to embed, as data URIs"),
        "inputs": Field(ListOf(Content(), or_none=True), "Texts and images, of which one vector each is made"),
        "embedding_types": Field(
            ListOf(Scalar(str, FORMATS), most=len(FORMATS)), "Formats to answer in", default=["float"]
        ),
        "output_dimension": Field(Scalar(int), "Nothing but the model's own number"),
        "truncate": Field(Scalar(str, tuple(CUTS)), "Where a text that is too long is cut; NONE: it is refused"),
        "max_tokens": Field(Scalar(int), "Nothing below the model's context length"),
        "priority": Field(Scalar(int), "Taken, and not looked at"),
    },
    _check,
)


def respond(service: Service, request: Request) -> Response:
    """Answer a request. Raises ApiError."""
    fields = REQUEST.of(request, service.settings)
    items = next(fields[name] for name in SOURCES if fields[name])
    kinds = list(dict.fromkeys(fields["embedding_types"]))
    texts = [item.value for item in fields["texts"] or ()]
    echo = len(json.dumps(json.dumps(texts)))
    _check_max_tokens(fields["max_tokens"], service.models.manifest.model(fields["model"]))
    cut = CUTS.get(fields["truncate"])
    found = embedded(
        service,
        items,
        fields["model"],
        *kinds,
        dimensions=fields["output_dimension"],
        more=echo,
        cut=cut,
        base64='set embedding_types to ["base64"]',
    )
    images = image_facts(items)
    return Response(
        200,
        {
            "id": current().request_id,
            "embeddings": {kind: encoded(found.vectors, kind) for kind in kinds},
            "texts": texts,
            "images": [
                {"width": image.width, "height": image.height, "format": image.format, "bit_depth": image.bits}
                for image in images
            ],
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"input_tokens": found.tokens, "images": len(images)},
            },
            "response_type": "embeddings_by_type",
        },
    )


def _check_max_tokens(most: int | None, entry: ModelEntry) -> None:
    if most is not None and most < entry.context_length:
        message = f"{entry.id} reads {entry.context_length} tokens of a text, and not fewer: leave `max_tokens` out"
        raise ApiError("invalid_value", message, "max_tokens")


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error as Cohere's API does."""
    return {"id": current().request_id, "message": coded(error)}
