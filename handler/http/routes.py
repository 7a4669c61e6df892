"""The routes: each takes the service and a request, and returns a response or raises ApiError."""

from collections.abc import Callable
from typing import Any

from handler.endpoints import embeddings, health
from handler.errors import ApiError, shorten
from handler.messages import Request, Response
from handler.schemas.limits import check_matrix_size
from handler.schemas.requests import CLASSIFY, SIMILARITY
from handler.schemas.validation import parse_json
from handler.service import Service
from handler.settings import Settings


def invoke(service: Service, event: Any) -> Response:
    """Answer a direct Invoke: `POST /v1/embeddings` without HTTP around it."""
    return _embed(service, embeddings.parse(event, service.settings))


def _json(request: Request, otherwise: str = "application/json") -> Any:
    """Read a JSON body. Raises ApiError unsupported_media_type or invalid_json."""
    kind = request.media_type
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(
            "unsupported_media_type",
            f"content-type is {shorten(kind)}: send {otherwise} (curl needs -H 'content-type: application/json')",
        )
    return parse_json(request.content)


def _post_embeddings(service: Service, request: Request) -> Response:
    if request.media_type.startswith("image/"):
        return _embed(service, embeddings.parse_image(request.body, request.query, service.settings))
    body = _json(request, "application/json, or an image as image/*")
    return _embed(service, embeddings.parse(body, service.settings, request.query))


def _embed(service: Service, request: embeddings.EmbeddingsRequest) -> Response:
    embeddings.check(request, service.models.manifest.model(request.model))
    return Response(200, embeddings.run(request, service.model(request.model), service.settings))


def _post_classify(service: Service, request: Request) -> Response:
    from handler.endpoints import zero_shot

    fields = CLASSIFY.read(_json(request), service.settings)
    zero_shot.check_classes(fields)
    return Response(200, zero_shot.classify(fields, service.model(fields["model"]), service.settings))


def _post_similarity(service: Service, request: Request) -> Response:
    from handler.endpoints import zero_shot

    fields = SIMILARITY.read(_json(request), service.settings)
    check_matrix_size(len(fields["images"]), len(fields["texts"]), 0, "images")
    return Response(200, zero_shot.similarity(fields, service.model(fields["model"]), service.settings))


def _get_models(service: Service, _: Request) -> Response:
    created = _unix_seconds(service.models.manifest.created_at)
    data = [
        {
            "id": entry.id,
            "object": "model",
            "created": created,  # of the bundle
            "owned_by": entry.name.removeprefix("hf-hub:").partition("/")[0],
            "embed_dim": entry.embed_dim,
            "context_length": entry.context_length,
            "image_size": list(entry.image_size),
            "modalities": ["text", "image"],
        }
        for entry in service.models.manifest.models
    ]
    return Response(200, {"object": "list", "data": data})


def _unix_seconds(moment: str) -> int:
    """Return when a bundle was built, in seconds since 1970; 0 where its manifest does not say."""
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(moment).timestamp())
    except ValueError:
        return 0


def _get_health(service: Service, request: Request) -> Response:
    deep = request.query.get("deep", "false")
    if deep not in ("true", "false"):
        raise ApiError("invalid_value", f"deep is {shorten(deep)}: set it to true or false", "deep")
    return health.deep_health(service) if deep == "true" else health.health(service)


def _post_vectorize(service: Service, request: Request) -> Response:
    from handler.endpoints import weaviate

    return Response(200, weaviate.vectorize(service, _json(request)))


def _get_ready(service: Service, _: Request) -> Response:
    response = health.health(service)
    return Response(204, {}) if response.status == 200 else response


def _get_meta(service: Service, _: Request) -> Response:
    from handler.endpoints import weaviate

    return Response(200, weaviate.meta(service.models.manifest))


def _get_openapi(service: Service, _: Request) -> Response:
    from handler.endpoints.pages import CACHE_CONTROL
    from handler.schemas import openapi

    return Response(
        200, openapi.text(service.entries(), service.settings), {"cache-control": CACHE_CONTROL}, "application/json"
    )


def _get_playground(service: Service, _: Request) -> Response:
    from handler.endpoints import pages

    return pages.playground()


def _get_docs(service: Service, _: Request) -> Response:
    from handler.endpoints import pages

    return pages.docs(service.entries(), service.settings)


ROUTES: dict[str, dict[str, Callable[[Service, Request], Response]]] = {
    "/v1/embeddings": {"POST": _post_embeddings},
    "/v1/classify": {"POST": _post_classify},
    "/v1/similarity": {"POST": _post_similarity},
    "/v1/models": {"GET": _get_models},
    "/health": {"GET": _get_health},
    "/openapi.json": {"GET": _get_openapi},
    "/": {"GET": _get_playground},
    "/docs": {"GET": _get_docs},
    "/vectorize": {"POST": _post_vectorize},
    "/meta": {"GET": _get_meta},
    "/.well-known/ready": {"GET": _get_ready},
    "/.well-known/live": {"GET": _get_ready},
}
# Where a protocol reads an error in another form than OpenAI's: Weaviate's module reads a string, and parses no object.
ERROR_BODIES: dict[str, Callable[[ApiError], dict[str, Any]]] = {
    "/vectorize": lambda error: {"error": f"{error.code}: {error.message}"}
}
PAGES = ("/", "/docs", "/openapi.json")  # what no gateway asks a credential for; `OPENCLIP_PAGES=false` turns them off


def served(settings: Settings) -> dict[str, dict[str, Callable[[Service, Request], Response]]]:
    """Return the routes that the settings leave on."""
    return ROUTES if settings.pages else {path: methods for path, methods in ROUTES.items() if path not in PAGES}
