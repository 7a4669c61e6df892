"""`GET /openapi.json`: OpenAPI 3.1, made from the rules that requests are checked with and the models that are here."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from handler.endpoints import own_routes
from handler.imaging.decode import media_types
from handler.manifest import ModelEntry
from handler.messages import MODEL_PATH
from handler.schemas import parts
from handler.schemas import responses as described
from handler.schemas.requests import CLASSIFY, EMBEDDINGS, OPTIONS, QUERY, SIMILARITY
from handler.schemas.validation import Scalar
from handler.settings import Settings

if TYPE_CHECKING:
    from handler.extensions import Extension

VERSION = "0.2.0"
# A red circle on white, 32x32: what the examples show.
IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEX////cKCi5uRl6AAAASElEQV"
    "R42nXNsQ2AMBAEweGFoAwohVLoBEqjFJdBgGyCJ8QbnDbao8tcsNzCPqE1MXAGRLCljaxpf/NQ0ipXZLk1HDXz31GHFx5EDnu4We"
    "b/AAAAAElFTkSuQmCC"
)
ABOUT = (
    "OpenCLIP embeddings of texts and images in one space, on AWS Lambda. `POST /v1/embeddings` is OpenAI's: the "
    "openai package, LangChain and LlamaIndex work with another base URL. Errors have a stable `code`."
)
BESIDE = "Options in the query count where the body leaves them out; beside Jina's or Voyage's fields they are refused"
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
KEY = {"type": "http", "scheme": "bearer", "description": "Where the deployment asks for an API key"}


def text(
    entries: Sequence[ModelEntry],
    settings: Settings,
    image_formats: Sequence[str] = (),
    extension: "Extension | None" = None,
) -> str:
    """Return the document as JSON."""
    return json.dumps(document(entries, settings, image_formats, extension), ensure_ascii=False, separators=(",", ":"))


def document(
    entries: Sequence[ModelEntry],
    settings: Settings,
    image_formats: Sequence[str] = (),
    extension: "Extension | None" = None,
) -> dict[str, Any]:
    """Return the document for the models of a bundle, the limits of these settings, and what else is decoded.

    Without entries, where the start failed, it still says what there would be. Last are an extension's own routes.
    """
    from handler.endpoints.dialects import described as others

    more = others.bodies(settings)
    bodies = [*EMBEDDINGS.values(), CLASSIFY, SIMILARITY, *more]
    schemas = {body.name: _with_model_enum(body.schema(settings), entries) for body in bodies}
    return {
        "openapi": "3.1.0",
        "info": {"title": "openclip-lambda", "version": VERSION, "description": ABOUT, "license": LICENSE},
        "servers": [{"url": ".", "description": "where this document is"}],
        "paths": {
            **_paths(
                _parameters(entries, settings),
                [body.name for body in more if body.name in others.SAME_ROUTE],
                media_types(image_formats),
                [entry.id for entry in entries],
            ),
            **others.paths(settings, IMAGE),
            **own_routes.paths(extension),
        },
        "components": {
            "schemas": {**schemas, **parts.schemas(settings), **described.SCHEMAS},
            "responses": described.errors(),
            "securitySchemes": {"key": KEY},
        },
        "security": [{}, {"key": []}],
    }


def _with_model_enum(schema: dict[str, Any], entries: Sequence[ModelEntry]) -> dict[str, Any]:
    """Name the models and their dimensions, which `manifest.model` and `embeddings.check` hold a request to."""
    dimensions = sorted({entry.embed_dim for entry in entries})
    facts = {"model": [entry.id for entry in entries], "dimensions": dimensions, "output_dimension": dimensions}
    properties = dict(schema["properties"])
    for name, values in facts.items():
        if values and name in properties:
            kind, null = properties[name]["anyOf"]
            properties[name] = {**properties[name], "anyOf": [{**kind, "enum": values}, null]}
    return {**schema, "properties": properties}


def _parameters(entries: Sequence[ModelEntry], settings: Settings) -> list[dict[str, Any]]:
    """Return the options of an image that is the body itself; where a JSON body has them too, those count."""
    properties = _with_model_enum(QUERY.schema(settings), entries)["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "description": field.about,
            "schema": {"enum": ["true", "false"]} if field.rule == Scalar(bool) else properties[name]["anyOf"][0],
        }
        for name, field in OPTIONS.items()
    ]


def _paths(options: list[dict[str, Any]], forms: list[str], images: list[str], models: list[str]) -> dict[str, Any]:
    deep = {
        "name": "deep",
        "in": "query",
        "description": "Hash every file and compare the golden vectors: as slow as loading everything",
        "schema": {"enum": ["true", "false"]},
    }
    return {
        "/v1/embeddings": {
            "post": {
                "summary": "Embed texts and images",
                "description": BESIDE,
                "operationId": "createEmbedding",
                "parameters": options,
                "requestBody": _embeddings_body(forms, images),
                "responses": described.of_embeddings(),
            }
        },
        "/v1/classify": {
            "post": _post("Zero-shot classification", "classify", _json_body(CLASSIFY.name), "ClassifyResponse")
        },
        "/v1/similarity": {
            "post": _post("Images against texts", "similarity", _json_body(SIMILARITY.name), "SimilarityResponse")
        },
        "/v1/models": {"get": _get("The models of this bundle", "listModels", "ModelsResponse")},
        MODEL_PATH: {"get": _one_model(models)},
        "/health": {
            "get": _get("What is loaded, or why the function cannot serve", "health", "Health", parameters=[deep])
        },
        "/openapi.json": {"get": _get("This document", "openapi", {"type": "object", "required": ["openapi"]})},
    }


def _one_model(ids: list[str]) -> dict[str, Any]:
    """Describe `GET /v1/models/<id>`, whose id is one of these; any, where the start failed."""
    schema = {"type": "string", **({"enum": ids} if ids else {})}
    named = {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "An id of `GET /v1/models`; its slashes may be written as they are",
        "schema": schema,
    }
    operation = _get("One model of this bundle", "retrieveModel", "Model", parameters=[named])
    return {**operation, "responses": {**operation["responses"], **described.refer(404)}}


def _embeddings_body(others: list[str], images: list[str]) -> dict[str, Any]:
    names = [*(body.name for body in EMBEDDINGS.values()), *others]
    forms = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    image = {"schema": {"type": "string", "contentMediaType": "image/*", "format": "image-bytes"}}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": forms}, "examples": _examples("embeddings")},
            **dict.fromkeys(images, image),
        },
    }


def _json_body(name: str) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{name}"}, "examples": _examples(name)}
    return {"required": True, "content": {"application/json": content}}


def _examples(name: str) -> dict[str, Any]:
    bodies: dict[str, dict[str, Any]] = {
        "embeddings": {
            "texts": {"input": ["a red circle", "一个红色的圆形"]},
            "mixed": {"input": [{"text": "a red circle"}, {"image": IMAGE}], "encoding_format": "base64"},
            "images": {"input": [IMAGE], "modality": "image"},
        },
        CLASSIFY.name: {"labels": {"input": [IMAGE], "labels": ["red circle", "blue star"]}},
        SIMILARITY.name: {"matrix": {"images": [IMAGE], "texts": ["a red circle", "一个蓝色的星星"]}},
    }
    return {title: {"value": value} for title, value in bodies[name].items()}


def _post(
    summary: str, name: str, body: Mapping[str, Any], response: str | dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": name,
        **more,
        "requestBody": body,
        "responses": described.of_post(response),
    }


def _get(summary: str, name: str, response: str | dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"summary": summary, "operationId": name, **more, "responses": described.of_get(response)}
