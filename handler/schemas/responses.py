"""The responses in the API's document: their schemas, and the errors of every kind of route."""

from typing import Any

from handler.errors import STATUS

STRING, NUMBER, COUNT = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 0}
MAYBE_STRING = {"type": ["string", "null"]}
VECTOR = {"type": "array", "items": NUMBER}


def _object(required: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **more}, "required": list(required)}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


USAGE = _object({"prompt_tokens": COUNT, "total_tokens": COUNT})
ACTIVATION = {"enum": ["softmax", "sigmoid"], "description": "softmax for CLIP, sigmoid for SigLIP"}
SCHEMAS: dict[str, Any] = {
    "Error": _object(
        {
            "error": _object(
                {
                    "message": {"type": "string", "description": "What was wrong, where, and the fix"},
                    "type": {"enum": ["invalid_request_error", "server_error"]},
                    "param": {"type": ["string", "null"], "description": "The field, as `input[3]`"},
                    "code": {"enum": sorted(STATUS), "description": "Stable: branch on it"},
                }
            )
        }
    ),
    "EmbeddingsResponse": _object(
        {
            "object": {"const": "list"},
            "data": _list(
                _object(
                    {
                        "object": {"const": "embedding"},
                        "index": COUNT,
                        "embedding": {"anyOf": [VECTOR, {**STRING, "contentEncoding": "base64"}]},
                    }
                )
            ),
            "model": STRING,
            "usage": USAGE,
        }
    ),
    "ClassifyResponse": _object(
        {
            "object": {"const": "list"},
            "data": _list(
                _object(
                    {
                        "object": {"const": "classification"},
                        "index": COUNT,
                        "prediction": STRING,
                        "score": NUMBER,
                        "predictions": _list(_object({"label": STRING, "score": NUMBER})),
                    }
                )
            ),
            "activation": ACTIVATION,
            "model": STRING,
            "usage": USAGE,
        }
    ),
    "SimilarityResponse": _object(
        {
            "object": {"const": "similarity"},
            "scores": {**_list(VECTOR), "description": "Cosines: a row for each image, a column for each text"},
            "logit_scale": NUMBER,
            "logit_bias": {"type": ["number", "null"]},
            "activation": ACTIVATION,
            "model": STRING,
            "usage": USAGE,
        }
    ),
    "Model": _object(
        {
            "id": STRING,
            "object": {"const": "model"},
            "created": COUNT,
            "owned_by": STRING,
            "embed_dim": COUNT,
            "context_length": COUNT,
            "image_size": {**_list(COUNT), "description": "Height, width"},
            "modalities": _list({"enum": ["text", "image"]}),
            "image_formats": {**_list(STRING), "description": "Media types"},
        }
    ),
    "ModelsResponse": _object({"object": {"const": "list"}, "data": _list({"$ref": "#/components/schemas/Model"})}),
    "Health": _object({"status": {"enum": ["ok", "error"]}, "reason": MAYBE_STRING}, loaded=_list(STRING)),
    "Vectors": _object({"textVectors": _list(VECTOR), "imageVectors": _list(VECTOR)}),
    "PlainError": _object({"error": STRING}),
    "CohereResponse": _object(
        {
            "id": STRING,
            "embeddings": {"type": "object", "additionalProperties": {"type": "array"}},
            "texts": _list(STRING),
            "images": _list(_object({"width": COUNT, "height": COUNT, "format": STRING, "bit_depth": COUNT})),
            "meta": {"type": "object"},
            "response_type": {"const": "embeddings_by_type"},
        }
    ),
    "CohereError": _object({"id": STRING, "message": STRING}),
    "VoyageResponse": _object(
        {"object": {"const": "list"}, "data": _list({"type": "object"}), "model": STRING, "usage": {"type": "object"}}
    ),
    "DetailError": _object({"detail": STRING}),
    "TeiResponse": _list(VECTOR),
    "TeiError": _object({"error": STRING, "error_type": {"enum": ["Backend", "Empty", "Unhealthy", "Validation"]}}),
    "ImmichResponse": _object({"clip": STRING}, imageHeight=COUNT, imageWidth=COUNT),
    "Meta": _object({"model": STRING}),
}
MEANING = {
    400: "The request is wrong",
    403: "What is not allowed here",
    404: "The bundle has no such model, the bucket no such object",
    413: "Too large to be accepted, decoded or returned",
    415: "A content type or an image's format that is not supported",
    500: "An error of ours",
    503: "The function cannot serve: the message says why",
}


def json_response(about: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    """Describe one response: by the name of one of SCHEMAS, or by its schema, which only one route has."""
    content = {"$ref": f"#/components/schemas/{schema}"} if isinstance(schema, str) else schema
    return {"description": about, "content": {"application/json": {"schema": content}}}


def errors() -> dict[str, Any]:
    """Return the errors, to be referred to, each with the codes that have its status."""
    return {str(status): json_response(f"{about}: {_codes(status)}", "Error") for status, about in MEANING.items()}


def _codes(status: int) -> str:
    return ", ".join(f"`{code}`" for code, its in STATUS.items() if its == status)


def of_post(response: str | dict[str, Any]) -> dict[str, Any]:
    """Return the responses of a route that embeds."""
    return {"200": json_response("Done", response), **refer(*MEANING)}


def of_get(response: str | dict[str, Any]) -> dict[str, Any]:
    """Return the responses of a GET route."""
    health = {"503": json_response("Why nothing runs here", response)} if response == "Health" else refer(503)
    return {"200": json_response("Done", response), **refer(400, 500), **health}


def of_dialect(response: str, error: str) -> dict[str, Any]:
    """Return the responses of another vendor's route, whose errors have a shape of their own."""
    failed = {str(status): json_response(about, error) for status, about in MEANING.items()}
    return {"200": json_response("Done", response), **failed}


def of_embeddings() -> dict[str, Any]:
    """Return the responses of `/v1/embeddings`: to Jina's and Voyage's fields an error is theirs."""
    shapes = [{"$ref": f"#/components/schemas/{name}"} for name in ("Error", "DetailError")]
    failed = {
        str(status): {"description": about, "content": {"application/json": {"schema": {"anyOf": shapes}}}}
        for status, about in MEANING.items()
    }
    return {"200": json_response("Done", "EmbeddingsResponse"), **failed}


def refer(*statuses: int) -> dict[str, Any]:
    """Return responses that are described once, by their status."""
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}
