"""`GET /openapi.json` where there is a search: its own routes, made from the rules that requests are checked with."""

import json
from collections.abc import Sequence
from typing import Any

from handler.endpoints import openapi as api
from handler.endpoints import own_routes
from handler.extensions import Extension
from handler.manifest import ModelEntry
from handler.messages import MODEL_PATH
from handler.schemas import responses as described
from handler.schemas.responses import COUNT, STRING, USAGE, VECTOR
from handler.search.schemas import INDEX, SEARCH
from handler.settings import Settings

SHARED = ("/v1/models", MODEL_PATH, "/health")  # the API's paths that the search function has too
METADATA = {"etag": STRING, "size": COUNT, "last_modified": STRING, "width": COUNT, "height": COUNT}
HIT = {
    "object": {"const": "hit"},
    "index": COUNT,
    "bucket": STRING,
    "key": STRING,
    "score": {"type": "number", "description": "The cosine"},
    "metadata": {"type": "object", "properties": METADATA, "required": list(METADATA)},
}
ANSWERS: dict[str, dict[str, Any]] = {
    "SearchResponse": {
        "object": {"const": "list"},
        "model": STRING,
        "data": {
            "type": "array",
            "items": {"type": "object", "properties": {**HIT, "url": STRING, "vector": VECTOR}, "required": list(HIT)},
        },
        "usage": USAGE,
    },
    "IndexChanged": {"object": {"const": "index"}, "put": COUNT, "deleted": COUNT, "rows": COUNT},
    "IndexResponse": {
        "object": {"const": "index"},
        "model": STRING,
        "manifest_sha256": STRING,
        "settings": {"type": "object"},
        "dimensions": COUNT,
        "rows": COUNT,
        "urls": {"type": "boolean", "description": "Whether `with_urls` is allowed"},
        "max_k": {**COUNT, "description": "The most hits of one search"},
        "filters": {"type": "array", "items": STRING, "description": "What `filter` may have here"},
    },
}
EXAMPLES: dict[str, dict[str, Any]] = {
    SEARCH.name: {
        "text": {"query": "a red circle", "k": 4},
        "image": {"query": {"image": api.IMAGE}, "filter": {"prefix": "2026/", "width": {"gte": 32}}},
        "several": {"query": [{"image": api.IMAGE}, {"text": "blue"}, {"text": "a square", "weight": -0.5}]},
    },
    INDEX.name: {
        "put": {"put": [{"key": "examples/red circle.png", "image": api.IMAGE}]},
        "delete": {"delete": [{"key": "examples/red circle.png"}]},
    },
}


def text(
    entries: Sequence[ModelEntry], settings: Settings, beside_api: bool, extension: Extension | None = None
) -> str:
    """Return the document as JSON."""
    return json.dumps(document(entries, settings, beside_api, extension), ensure_ascii=False, separators=(",", ":"))


def document(
    entries: Sequence[ModelEntry], settings: Settings, beside_api: bool, extension: Extension | None = None
) -> dict[str, Any]:
    """Return the API's document with the search's routes; of the search function, without the API's other ones."""
    whole = api.document(entries, settings)
    kept = whole["paths"] if beside_api else {path: whole["paths"][path] for path in SHARED}
    schemas = {} if not beside_api else whole["components"]["schemas"]
    for name in ("Error", "Model", "ModelsResponse", "Health"):
        schemas[name] = whole["components"]["schemas"][name]
    schemas |= {SEARCH.name: SEARCH.schema(settings), INDEX.name: INDEX.schema(settings)}
    schemas |= {
        name: {"type": "object", "properties": fields, "required": list(fields)} for name, fields in ANSWERS.items()
    }
    own = own_routes.paths(extension)
    whole["paths"] = {**kept, **_paths(), "/openapi.json": whole["paths"]["/openapi.json"], **own}
    whole["components"]["schemas"] = schemas
    return whole


def _paths() -> dict[str, Any]:
    return {
        "/v1/search": {"post": _post("Find the nearest images", "search", SEARCH.name, "SearchResponse")},
        "/v1/index": {
            "post": _post("Add images to the index, or remove some", "changeIndex", INDEX.name, "IndexChanged"),
            "get": {
                "summary": "What the index holds",
                "operationId": "index",
                "responses": {**described.of_get("IndexResponse"), **_others(404)},
            },
        },
    }


def _post(summary: str, name: str, body: str, response: str) -> dict[str, Any]:
    examples = {title: {"value": value} for title, value in EXAMPLES[body].items()}
    content = {"schema": {"$ref": f"#/components/schemas/{body}"}, "examples": examples}
    return {
        "summary": summary,
        "operationId": name,
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {**described.of_post(response), **_others(409)},
    }


def _others(status: int) -> dict[str, Any]:
    meaning = {404: "There is no index", 409: "The index is of another model or setting"}
    return {str(status): described.json_response(meaning[status], "Error")}
