"""The protocol of Weaviate's multi2vec-clip module: `CLIP_INFERENCE_API` may be this function's URL."""

from collections.abc import Callable
from typing import Any

from handler.endpoints.embeddings import embed, floats, unit
from handler.errors import ApiError
from handler.manifest import Manifest
from handler.messages import Response
from handler.schemas.limits import check_answer_size
from handler.schemas.requests import VECTORIZE
from handler.service import Service
from handler.telemetry.invocation import current


def vectorize(service: Service, read: Callable[[], Any]) -> Response:
    """Embed `texts` and `images` with the bundle's first model, at unit length.

    An error is `{"error": "<message>"}`: the module reads a string there, and cannot parse OpenAI's object.
    """
    try:
        return Response(200, _vectors(service, read()))
    except ApiError as error:
        current().code = error.code
        return Response(error.status, {"error": f"{error.code}: {error.message}"})


def _vectors(service: Service, body: Any) -> dict[str, Any]:
    fields = VECTORIZE.read(body, service.settings)
    texts, images = fields["texts"], fields["images"]
    check_answer_size(len(texts) + len(images), service.models.manifest.model(None).embed_dim, "float")
    vectors, _ = embed([*texts, *images], service.model(None), service.settings)
    rows = [floats(row) for row in unit(vectors)]
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
