"""The protocol of Weaviate's multi2vec-clip module: `CLIP_INFERENCE_API` may be this function's URL.

The module sends no credential: behind an API key its URL is `https://<the API>/k/<key>`.
"""

from typing import Any

from handler.endpoints import health
from handler.endpoints.dialects.core import coded, embedded
from handler.endpoints.embeddings import floats
from handler.errors import ApiError
from handler.manifest import Manifest
from handler.messages import Request, Response
from handler.schemas.requests import VECTORIZE
from handler.service import Service


def respond(service: Service, request: Request) -> Response:
    """Answer any of the module's requests. Raises ApiError."""
    if request.path == "/vectorize":
        return Response(200, vectorize(service, request))
    if request.path == "/meta":
        return Response(200, meta(service.models.manifest))
    answer = health.health(service)
    return Response(204, {}) if answer.status == 200 else answer


def vectorize(service: Service, request: Request) -> dict[str, Any]:
    """Embed `texts` and `images` with the bundle's first model, at unit length. Raises ApiError."""
    fields = VECTORIZE.of(request, service.settings)
    texts, images = fields["texts"], fields["images"]
    rows = floats(embedded(service, [*texts, *images], None, "float").vectors)
    return {"textVectors": rows[: len(texts)], "imageVectors": rows[len(texts) :]}


def meta(manifest: Manifest) -> dict[str, Any]:
    """Describe the model: any JSON object will do, Weaviate shows it as the module's own."""
    entry = manifest.model(None)
    return {
        "model": entry.id,
        "engine": entry.engine,
        "precision": entry.precision,
        "embed_dim": entry.embed_dim,
        "context_length": entry.context_length,
        "image_size": list(entry.image_size),
        "manifest_sha256": manifest.sha256,
    }


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error as the module reads it: a string, since it parses no object."""
    return {"error": coded(error)}
