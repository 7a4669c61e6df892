"""Other vendors' routes in the API's document."""

from typing import Any

from handler.endpoints.dialects import chat, cohere, jina, tei, voyage
from handler.schemas import responses
from handler.schemas.requests import VECTORIZE
from handler.schemas.validation import Body
from handler.settings import Settings

BODIES: dict[str, tuple[Body, ...]] = {
    "cohere": (cohere.REQUEST,),
    "jina": (jina.REQUEST,),
    "tei": (tei.REQUEST,),
    "voyage": (voyage.MULTIMODAL, voyage.TEXT),
    "weaviate": (VECTORIZE,),
}
SAME_ROUTE = (chat.REQUEST.name, jina.REQUEST.name, voyage.TEXT.name)  # more forms of `/v1/embeddings`


def bodies(settings: Settings) -> list[Body]:
    """Return the JSON bodies of the dialects that are on, and of chats."""
    return [chat.REQUEST, *(body for name in settings.dialects for body in BODIES.get(name, ()))]


def paths(settings: Settings, image: str) -> dict[str, Any]:
    """Return the routes of the dialects that are on; `image` is a data URI for the examples."""
    known = {
        "cohere": _cohere(image),
        "immich": _immich(),
        "tei": _tei(),
        "voyage": _voyage(image),
        "weaviate": _weaviate(image),
    }
    return {path: item for name in settings.dialects for path, item in known.get(name, {}).items()}


def _cohere(image: str) -> dict[str, Any]:
    base = {"model": None, "input_type": "search_document"}
    both = {"content": [{"type": "text", "text": "a red circle"}, {"type": "image_url", "image_url": {"url": image}}]}
    examples = {
        "texts": {**base, "texts": ["a red circle"], "embedding_types": ["float", "int8"]},
        "images": {**base, "images": [image], "input_type": "image"},
        "both": {**base, "inputs": [both]},
    }
    about = "Cohere's embed API, version 2"
    return {
        "/v2/embed": {"post": _post(about, "cohereEmbed", cohere.REQUEST, examples, "CohereResponse", "CohereError")}
    }


def _voyage(image: str) -> dict[str, Any]:
    content = [{"type": "text", "text": "a red circle"}, {"type": "image_base64", "image_base64": image}]
    examples = {"both": {"inputs": [{"content": content}], "input_type": "document"}}
    about = "Voyage's multimodal embeddings"
    post = _post(about, "voyageMultimodal", voyage.MULTIMODAL, examples, "VoyageResponse", "DetailError")
    return {"/v1/multimodalembeddings": {"post": post}}


def _tei() -> dict[str, Any]:
    examples = {"texts": {"inputs": ["a red circle"], "truncate": True}}
    about = "The route of text-embeddings-inference; `POST /` is the same"
    return {"/embed": {"post": _post(about, "teiEmbed", tei.REQUEST, examples, "TeiResponse", "TeiError")}}


def _weaviate(image: str) -> dict[str, Any]:
    examples = {"both": {"texts": ["a red circle"], "images": [image.partition(",")[2]]}}
    about = "The protocol of Weaviate's multi2vec-clip"
    return {
        "/vectorize": {"post": _post(about, "vectorize", VECTORIZE, examples, "Vectors", "PlainError")},
        "/meta": {
            "get": {
                "summary": "The model, as Weaviate's multi2vec-clip asks for it",
                "operationId": "meta",
                "responses": responses.of_dialect("Meta", "PlainError"),
            }
        },
        "/.well-known/ready": {"get": _ready("ready")},
        "/.well-known/live": {"get": _ready("live")},
    }


def _immich() -> dict[str, Any]:
    form = {
        "type": "object",
        "description": "`entries` names tower and model: `textual` for `text`, `visual` for a file in `image`",
        "properties": {
            "entries": {"type": "string", "format": "immich-entries"},
            "text": {"type": "string", "minLength": 1, "maxLength": 10_000},
            "image": {"type": "string", "contentMediaType": "application/octet-stream"},
        },
        "required": ["entries", "text"],
    }
    predict = {
        "summary": "The search of immich's machine learning",
        "operationId": "immichPredict",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": responses.of_dialect("ImmichResponse", "DetailError"),
    }
    pong = {
        "200": {"description": "pong", "content": {"text/plain": {"schema": {"type": "string"}}}},
        "503": responses.json_response("Why it cannot serve", "Health"),
    }
    ping = {"summary": "Whether immich may ask", "operationId": "immichPing", "responses": pong}
    return {"/predict": {"post": predict}, "/ping": {"get": ping}}


def _post(about: str, name: str, body: Body, examples: dict[str, Any], response: str, error: str) -> dict[str, Any]:
    content = {
        "schema": {"$ref": f"#/components/schemas/{body.name}"},
        "examples": {title: {"value": value} for title, value in examples.items()},
    }
    return {
        "summary": about,
        "operationId": name,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": responses.of_dialect(response, error),
    }


def _ready(name: str) -> dict[str, Any]:
    known = {"204": {"description": "It can serve"}, "503": responses.json_response("Why it cannot", "Health")}
    return {"summary": "Whether it can serve", "operationId": name, "responses": known}
