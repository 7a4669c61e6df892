"""The HTTP API: its routes, and the one place where an error becomes an answer."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

from handler import embeddings, fields
from handler.errors import ApiError, shorten
from handler.events import Answer, Request, is_http, parse, shape
from handler.service import Service

log = logging.getLogger(__name__)


def handle(service: Service, event: Any, context: Any) -> dict[str, Any]:
    """Answer one event: HTTP in its sender's envelope, a direct Invoke with the bare JSON body.

    No exception leaves: a direct Invoke that fails returns the error's body too, so both ways read alike.
    """
    if is_http(event):
        answer = _guard(lambda: _route(service, parse(event, service.settings.max_body_bytes)), event, context)
        return shape(answer, event)
    return dict(_guard(lambda: _embed(service, embeddings.parse(event, service.settings)), event, context).body)


def _guard(respond: Callable[[], Answer], event: Any, context: Any) -> Answer:
    try:
        return respond()
    except ApiError as error:
        return Answer(error.status, error.body())
    except Exception as error:  # noqa: BLE001 - logged below, without its message
        request_id = getattr(context, "aws_request_id", "unknown")
        # The frames and not the message: an exception's message may quote the request, and inputs are never logged.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("request %s failed with %s\n%s", request_id, type(error).__name__, frames)
        failure = ApiError("internal_error", f"an error of ours: look for request {request_id} in the function's log")
        return Answer(failure.status, failure.body())


def _route(service: Service, request: Request) -> Answer:
    methods = ROUTES.get(request.path)
    if methods is None:
        known = ", ".join(ROUTES)
        raise ApiError("not_found", f"no route {shorten(request.path)}: there are {known}")
    if request.method not in methods:
        error = ApiError("method_not_allowed", f"{request.path} takes {', '.join(methods)}")
        return Answer(error.status, error.body(), {"allow": ", ".join(methods)})
    return methods[request.method](service, request)


def _post_embeddings(service: Service, request: Request) -> Answer:
    kind = request.media_type
    if kind.startswith("image/"):
        return _embed(service, embeddings.parse_picture(request.body, request.query))
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(
            "unsupported_media_type",
            f"content-type is {shorten(kind)}: send application/json, or a picture as image/* (curl needs "
            "-H 'content-type: application/json')",
        )
    return _embed(service, embeddings.parse(fields.parse_json(request.body), service.settings))


def _embed(service: Service, request: embeddings.EmbeddingsRequest) -> Answer:
    embeddings.check_dimensions(request, service.models.manifest.model(request.model))
    return Answer(200, embeddings.run(request, service.model(request.model), service.settings))


def _get_models(service: Service, _: Request) -> Answer:
    data = [
        {
            "id": entry.id,
            "object": "model",
            "created": 0,  # OpenAI's clients want the field; the day of a build is no property of the model
            "owned_by": entry.name.removeprefix("hf-hub:").partition("/")[0],
            "embed_dim": entry.embed_dim,
            "context_length": entry.context_length,
            "image_size": list(entry.image_size),
            "modalities": ["text", "image"],
        }
        for entry in service.models.manifest.models
    ]
    return Answer(200, {"object": "list", "data": data})


def _get_health(service: Service, request: Request) -> Answer:
    deep = request.query.get("deep", "false")
    if deep not in ("true", "false"):
        raise ApiError("invalid_value", f"deep is {shorten(deep)}: set it to true or false", "deep")
    return service.deep_health() if deep == "true" else service.health()


ROUTES: dict[str, dict[str, Callable[[Service, Request], Answer]]] = {
    "/v1/embeddings": {"POST": _post_embeddings},
    "/v1/models": {"GET": _get_models},
    "/health": {"GET": _get_health},
}
