"""The routes: each takes the service and a request, and returns a response or raises ApiError."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from handler.endpoints import embeddings, health
from handler.errors import ApiError, shorten
from handler.manifest import ModelEntry
from handler.messages import MODEL_PATH, Request, Response
from handler.schemas.limits import check_matrix_size
from handler.schemas.requests import CLASSIFY, SIMILARITY
from handler.schemas.validation import read_json
from handler.service import Service
from handler.settings import Settings
from handler.telemetry.invocation import current

Endpoint = Callable[[Service, Request], Response]
# The routes by the dialect's name in `Settings.dialects`, and the methods that each takes.
DIALECTS: dict[str, dict[str, tuple[str, ...]]] = {
    "cohere": {"/v2/embed": ("POST",)},
    "immich": {"/ping": ("GET",), "/predict": ("POST",)},
    "tei": {"/embed": ("POST",)},
    "voyage": {"/v1/multimodalembeddings": ("POST",)},
    "weaviate": {
        "/.well-known/live": ("GET",),
        "/.well-known/ready": ("GET",),
        "/meta": ("GET",),
        "/vectorize": ("POST",),
    },
}
# Weaviate's module sends no credential: the key may stand in the path, `/k/<key>/vectorize`. The gateway compares it.
KEYED = tuple(DIALECTS["weaviate"])
# Who has text-embeddings-inference's address alone, as huggingface_hub and LangChain, posts to its root.
SAME = {("POST", "/"): "/embed"}
DIALECT_OF = {path: name for name, paths in DIALECTS.items() for path in paths}
# Fields that tell a request to `/v1/embeddings`, or a direct Invoke, as another vendor's.
FIELDS = {
    "jina": {
        "embedding_type",
        "encoding_type",
        "late_chunking",
        "normalized",
        "return_multivector",
        "task",
        "truncate",
    },
    "voyage": {"output_dimension", "output_dtype", "output_encoding", "truncation"},
}
INVOKE_FIELDS = {"bedrock": {"inputImage", "inputText"}}


def dialect_module(name: str) -> Any:
    """Import a dialect. Its `respond` answers its routes, `error_body` has its shape of an error."""
    return import_module(f"handler.endpoints.dialects.{name}")


def _dialect_of(body: Any, known: Mapping[str, set[str]], settings: Settings) -> str | None:
    """Name the dialect that a body's fields belong to; None where they are our own, or the dialect is off."""
    if not isinstance(body, dict):
        return None
    return next((name for name, fields in known.items() if name in settings.dialects and fields & body.keys()), None)


def error_body(error: ApiError, dialect: str | None) -> dict[str, Any]:
    """Return an error's body in the shape that a dialect's clients read; without one, in OpenAI's."""
    body: dict[str, Any] = dialect_module(dialect).error_body(error) if dialect else error.body()
    return body


def _respond_in_dialect(service: Service, request: Request) -> Response:
    response: Response = dialect_module(DIALECT_OF[request.path]).respond(service, request)
    return response


def invoke(service: Service, event: Any) -> Response:
    """Answer a direct Invoke: `POST /v1/embeddings` without HTTP around it, or Bedrock's request of Titan."""
    if dialect := _dialect_of(event, INVOKE_FIELDS, service.settings):
        current().dialect = dialect
        answered: Response = dialect_module(dialect).invoke(service, event)
        return answered
    return _embed(service, event, {})


def _post_embeddings(service: Service, request: Request) -> Response:
    if request.media_type.startswith("image/"):
        return embeddings.respond(service, embeddings.parse_image(request.body, request.query, service.settings))
    return _embed(service, read_json(request, "application/json, or an image as image/*"), request.query)


def _embed(service: Service, body: Any, query: Mapping[str, str]) -> Response:
    """Embed what a JSON body asks for: one of ours, of a chat, or of another vendor who has the same route."""
    dialect = _dialect_of(body, FIELDS, service.settings)
    if "jina" in service.settings.dialects and isinstance(body, dict) and isinstance(body.get("modality"), list):
        dialect = dialect or "jina"  # NVIDIA NIM's: our own `modality` is one word
    if dialect:
        current().dialect = dialect
        answered: Response = dialect_module(dialect).embeddings(service, body, query)
        return answered
    if isinstance(body, dict) and "messages" in body:
        from handler.endpoints.dialects import chat

        return embeddings.respond(service, chat.parse(body, service.settings, query))
    return embeddings.respond(service, embeddings.parse(body, service.settings, query))


def _post_classify(service: Service, request: Request) -> Response:
    from handler.endpoints import zero_shot

    fields = CLASSIFY.of(request, service.settings)
    zero_shot.check_classes(fields)
    return Response(200, zero_shot.classify(fields, service.model(fields["model"]), service.settings))


def _post_similarity(service: Service, request: Request) -> Response:
    from handler.endpoints import zero_shot

    fields = SIMILARITY.of(request, service.settings)
    check_matrix_size(len(fields["images"]), len(fields["texts"]), 0, "images")
    return Response(200, zero_shot.similarity(fields, service.model(fields["model"]), service.settings))


def _get_models(service: Service, _: Request) -> Response:
    data = [_described(service, entry) for entry in service.models.manifest.models]
    return Response(200, {"object": "list", "data": data})


def _get_model(service: Service, request: Request) -> Response:
    return Response(200, _described(service, service.models.manifest.model(request.model)))


def _described(service: Service, entry: ModelEntry) -> dict[str, Any]:
    from handler.imaging.decode import media_types

    return {
        "id": entry.id,
        "object": "model",
        "created": _unix_seconds(service.models.manifest.created_at),  # of the bundle
        "owned_by": entry.name.removeprefix("hf-hub:").partition("/")[0],
        "embed_dim": entry.embed_dim,
        "context_length": entry.context_length,
        "image_size": list(entry.image_size),
        "modalities": ["text", "image"],
        "image_formats": media_types(service.image_formats()),
    }


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


def _get_openapi(service: Service, _: Request) -> Response:
    from handler.endpoints import openapi
    from handler.endpoints.pages import CACHE_CONTROL

    document = openapi.text(service.entries(), service.settings, service.image_formats(), service.extension)
    return Response(200, document, {"cache-control": CACHE_CONTROL}, "application/json")


def _get_playground(service: Service, _: Request) -> Response:
    from handler.endpoints import pages

    return pages.playground(service.settings)


def _get_docs(service: Service, _: Request) -> Response:
    from handler.endpoints import openapi, pages

    document = openapi.document(service.entries(), service.settings, service.image_formats(), service.extension)
    return pages.docs(document)


ROUTES: dict[str, dict[str, Endpoint]] = {
    "/v1/embeddings": {"POST": _post_embeddings},
    "/v1/classify": {"POST": _post_classify},
    "/v1/similarity": {"POST": _post_similarity},
    "/v1/models": {"GET": _get_models},
    MODEL_PATH: {"GET": _get_model},
    "/health": {"GET": _get_health},
    "/openapi.json": {"GET": _get_openapi},
    "/": {"GET": _get_playground},
    "/docs": {"GET": _get_docs},
    **{path: dict.fromkeys(methods, _respond_in_dialect) for of in DIALECTS.values() for path, methods in of.items()},
}
PAGES = ("/", "/docs", "/openapi.json")  # what no gateway asks a credential for; `OPENCLIP_PAGES=false` turns them off


class Table(NamedTuple):
    """The routes of a function, and its answer to an event that is no HTTP request."""

    routes: Mapping[str, Mapping[str, Endpoint]]
    invoke: Callable[[Service, Any], Response]


API = Table(ROUTES, invoke)


@lru_cache(maxsize=8)  # asked for at each request
def _off(dialects: tuple[str, ...], pages: bool) -> frozenset[str]:
    off = {path for path, name in DIALECT_OF.items() if name not in dialects}
    return frozenset(off.union(() if pages else PAGES))


def served(settings: Settings, table: Table = API) -> Mapping[str, Mapping[str, Endpoint]]:
    """Return the routes that the settings leave on."""
    off = _off(settings.dialects, settings.pages)
    return {path: methods for path, methods in table.routes.items() if path not in off} if off else table.routes


def with_served_path(request: Request, settings: Settings, table: Table) -> Request:
    """Return the request at the path of its route, where the one it came to is another name of that."""
    path = SAME.get((request.method, request.path))
    return request._replace(path=path) if path and path in served(settings, table) else request
