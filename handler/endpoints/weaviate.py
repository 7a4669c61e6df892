"""The protocol of Weaviate's multi2vec-clip module: `CLIP_INFERENCE_API` may be this function's URL."""

from typing import Any

from handler.endpoints.embeddings import embed, floats, unit
from handler.manifest import Manifest
from handler.schemas.limits import check_response_size
from handler.schemas.requests import VECTORIZE
from handler.service import Service


def vectorize(service: Service, body: Any) -> dict[str, Any]:
    """Embed `texts` and `images` with the bundle's first model, at unit length. Raises ApiError."""
    fields = VECTORIZE.read(body, service.settings)
    texts, images = fields["texts"], fields["images"]
    check_response_size(len(texts) + len(images), service.models.manifest.model(None).embed_dim, "float")
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
