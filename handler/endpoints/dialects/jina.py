"""Jina's fields in `POST /v1/embeddings`: `embedding_type`, `normalized` and `task`.

jina.ai/embeddings. Inputs `{"text": ...}` and `{"image": ...}` are our own; `task` is taken and changes nothing, since
CLIP's towers have no adapters for tasks. LlamaIndex's clients, in Python and JavaScript, have older names:
`encoding_type`, and `{"bytes": ...}` and `{"url": ...}` for an image. openai's packages, which people point to that API
with its fields in `extra_body`, add an `encoding_format` of their own: it counts where the request has neither name.

NVIDIA NIM's embeddings API shares the route and the field `truncate`, with the words of Cohere's: its clients send one
with every request. They read the errors of this shape, too. Its `modality` says what plain strings are, in one word or
in a list: docs.nvidia.com, "API Reference for NVIDIA NeMo Retriever Embedding NIM".
"""

from collections.abc import Mapping
from typing import Any

from handler.endpoints.dialects import core
from handler.endpoints.dialects.rules import Only
from handler.endpoints.embeddings import EmbeddingsRequest
from handler.endpoints.embeddings import respond as respond_embeddings
from handler.errors import ApiError, counted
from handler.manifest import MODALITIES
from handler.messages import Response
from handler.schemas.fields import IMAGE, Item, refuse_token_ids
from handler.schemas.requests import CUTS, FORMATS, INPUT_TYPE, MODEL, USER, Either, check_parts
from handler.schemas.requests import OPTIONS as OUR_OPTIONS
from handler.schemas.validation import Body, Field, ListOf, Scalar, check_query
from handler.service import Service
from handler.settings import Settings

OLDER_NAMES = ("bytes", "url")
WORDS = ListOf(Scalar(str, MODALITIES), or_one=True)


class EmbeddingType:
    """A format, or a list of one."""

    def read(self, value: Any, param: str, settings: Settings) -> str:
        """Return the format. Raises ApiError."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return str(Scalar(str, FORMATS).read(value, param, settings))

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        one = Scalar(str, FORMATS).schema(settings)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 1}]}


class Input:
    """What an item of ours may be, or an image by the names of Jina's first API."""

    def read(self, value: Any, param: str, settings: Settings) -> Item:
        """Return the item. Raises ApiError."""
        if isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in OLDER_NAMES:
            return IMAGE.read(value[name], f"{param}.{name}", settings)
        return Either().read(value, param, settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        older = [
            {"type": "object", "properties": {name: image}, "required": [name], "additionalProperties": False}
            for name, image in dict.fromkeys(OLDER_NAMES, IMAGE.schema(settings)).items()
        ]
        return {"anyOf": [*Either().schema(settings)["anyOf"], *older]}


class Truncate:
    """Jina's true or false, or a word of NVIDIA NIM's."""

    def read(self, value: Any, param: str, settings: Settings) -> str | None:
        """Return what becomes of a text that is too long, as in tokenizer.CUTS; None: as open_clip. Raises ApiError."""
        if isinstance(value, str):
            return CUTS[Scalar(str, tuple(CUTS)).read(value, param, settings)]
        return None if Scalar(bool).read(value, param, settings) else "none"

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"anyOf": [rule.schema(settings) for rule in (Scalar(bool), Scalar(str, tuple(CUTS)))]}


class Modality:
    """NVIDIA NIM's: what plain strings are. A word, or a list of one word for all of them or of one for each."""

    def read(self, value: Any, param: str, settings: Settings) -> list[str]:
        """Return the words. Raises ApiError."""
        if value == "text_image" or (isinstance(value, list) and "text_image" in value):
            fix = 'send {"text": ..., "image": ...} in the place of the string, and leave modality out'
            raise ApiError("invalid_value", f"modality is text_image, a text and an image in one string: {fix}", param)
        return WORDS.read(value, param, settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return WORDS.schema(settings)


def _with_kinds(body: Mapping[str, Any], settings: Settings) -> Mapping[str, Any]:
    """Return the body with the plain strings of `input` as the texts and images that `modality` says they are.

    Raises ApiError.
    """
    given = body.get("input")
    items = given if isinstance(given, list) else [given]
    if body.get("modality") is None or given is None or len(items) > settings.max_items:
        return body  # without `input`, or with too many, its own rule refuses it
    kinds = Modality().read(body["modality"], "modality", settings)
    if len(kinds) not in (1, len(items)):
        message = f"modality has {counted(len(kinds), 'word')} for {counted(len(items), 'item')}: send one, or as many"
        raise ApiError("invalid_value", message, "modality")
    of_each = kinds * len(items) if len(kinds) == 1 else kinds
    typed = [{kind: item} if isinstance(item, str) else item for kind, item in zip(of_each, items, strict=True)]
    return {**body, "input": typed if isinstance(given, list) else typed[0]}


def _check(values: Mapping[str, Any], settings: Settings) -> None:
    if None not in (new := values["embedding_type"], old := values["encoding_type"]) and new != old:
        message = f"embedding_type is {new} and encoding_type, its older name, is {old}: send one of them"
        raise ApiError("invalid_value", message, "encoding_type")
    check_parts("input")(values, settings)


REQUEST = Body(
    "JinaEmbeddingsRequest",
    "The request of Jina's embeddings API",
    {
        "input": Field(
            ListOf(Input(), or_one=True, refuse=refuse_token_ids), "texts and images, or one of them alone", True
        ),
        "model": MODEL,
        "embedding_type": Field(EmbeddingType(), "The format of the numbers; without it, float"),
        "encoding_type": Field(EmbeddingType(), "The same, by its older name"),
        "encoding_format": Field(EmbeddingType(), "The same, by OpenAI's name, where neither of the others is there"),
        "normalized": Field(Scalar(bool), "Whether vectors have unit length", default=True),
        "task": Field(Scalar(str), "Taken, and the same to CLIP's models"),
        "dimensions": Field(Scalar(int), "Nothing but the model's own number"),
        "truncate": Field(Truncate(), "Whether, or where, a text too long is cut; false or NONE: it is refused"),
        "input_type": INPUT_TYPE,
        "modality": Field(Modality(), "What plain strings are: a word for all of them, or a list with one for each"),
        "late_chunking": Field(Only(False), "Nothing but false"),
        "return_multivector": Field(Only(False), "Nothing but false"),
        "user": USER,
    },
    _check,
)


def embeddings(service: Service, body: Any, query: Mapping[str, str]) -> Response:
    """Answer a body with fields of Jina's. Raises ApiError."""
    check_query(query, {*OUR_OPTIONS, *REQUEST.fields})
    fields = REQUEST.read(_with_kinds(body, service.settings), service.settings)
    request = EmbeddingsRequest(
        fields["input"],
        fields["model"],
        fields["embedding_type"] or fields["encoding_type"] or fields["encoding_format"] or "float",
        fields["dimensions"],
        fields["normalized"],
        cut=fields["truncate"],
        names={"encoding_format": "embedding_type", "normalize": "normalized"},
    )
    return respond_embeddings(service, request)


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error as Jina's API does."""
    return core.listed(error)
