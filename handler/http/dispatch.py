"""From event to response: a direct Invoke or a route, and the one place where an exception becomes a response."""

import logging
import os
import traceback
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from handler.errors import ApiError, EventSourceError, shorten
from handler.http import cors
from handler.http.events import check_bare, event_source, is_http, parse, shape
from handler.http.routes import API, DIALECT_OF, KEYED, SAME, Table, error_body, served, with_served_path
from handler.messages import Request, Response, without_key
from handler.service import Service
from handler.telemetry import metrics, tracing
from handler.telemetry.invocation import Call, active, current

log = logging.getLogger(__name__)
MOST_NAMED = 32  # fields in a header
COHERE_1 = "/v1/embed"  # what cohere.Client asks


def handle(service: Service, event: Any, context: Any, table: Table = API) -> dict[str, Any]:
    """Answer one event: HTTP in its sender's envelope, a direct Invoke with the bare JSON body.

    A direct Invoke that fails returns the error's body too, so that a caller has one thing to look at, and so that a
    client's mistake neither counts as a fault of the function nor is retried by Lambda. No exception leaves but for
    the event of a queue, a topic or a bucket, which would be gone after any answer. Raises EventSourceError.
    """
    call = Call(getattr(context, "aws_request_id", "unknown"), cold=service.begin())
    if service.extension:
        table = extended().with_routes(table, service.extension)
    with active(call):
        if is_http(event):
            call.balanced = "elb" in event["requestContext"]
            response, request = _http(service, event, context, table)
            call.route = request.path if request and request.path in table.routes else "unknown"
            if service.extension and request:
                extended().measure(service.extension, call, request, response)
        else:
            response, request = _invoke(service, event, context, table), None
    call.status = response.status
    if call.status >= 500 and call.code is None:
        call.code = "not_ready"  # a health check that says so: an alarm counts it as it does a refused call
    metrics.emit(call, os.environ, service.cold_start_seconds())
    tracing.send(call, os.environ)
    if not is_http(event):
        if source := event_source(event):
            raise EventSourceError(_refused_source(source))
        return dict(response.body) if isinstance(response.body, Mapping) else {}
    told = response._replace(headers=_told(service, call, response))
    return shape(told, event, request, call.texts + call.images if response.status == 200 else 0)


def _told(service: Service, call: Call, response: Response) -> dict[str, str]:
    """Return a response's headers, with those that say what its call was."""
    # openai's clients show it beside an error, and it is the `request_id` of the call's line in the log.
    told = {"x-request-id": call.request_id, **response.headers}
    if call.model:
        told |= {
            "server-timing": call.server_timing(),
            "x-openclip-cold": str(call.cold).lower(),
            "x-openclip-manifest": service.models.vectors_sha256(call.model),  # others are not to be mixed in
        }
        if call.full:
            told["x-openclip-full"] = ", ".join(list(dict.fromkeys(call.full))[:MOST_NAMED])
    return told


def extended() -> Any:
    """Import what runs code of the deployment's own: late, since most have none."""
    return import_module("handler.http.extended")


def _invoke(service: Service, event: Any, context: Any, table: Table) -> Response:
    try:
        if source := event_source(event):
            raise ApiError("invalid_event", _refused_source(source))
        check_bare(event)
        return table.invoke(service, event)
    except Exception as error:  # noqa: BLE001 - told by _failed
        return _failed(error, context, invoked=True)


def _refused_source(source: str) -> str:
    fix = "remove that trigger; a bucket's images are embedded by a deployment with batch_source (docs/collections.md)"
    return f"an event of {shorten(source)}, which reads no response: {fix}"


def _http(service: Service, event: Any, context: Any, table: Table) -> tuple[Response, Request | None]:
    request: Request | None = None

    def respond() -> Response:
        nonlocal request
        request = parse(event, service.settings.max_body_bytes)
        request = request.at(table.routes, service.settings.base_path, KEYED)
        request = with_served_path(request, service.settings, table)
        if service.extension:
            current().dialect = DIALECT_OF.get(request.path)
            request = extended().authenticated(service.extension, request, event)
        return _route(service, request, table)

    try:
        response = respond()
    except Exception as error:  # noqa: BLE001 - told by _failed
        response = _failed(error, context)
    return (cors.add(response, request, service.settings) if request else response), request


def _failed(error: Exception, context: Any, invoked: bool = False) -> Response:
    """Turn an exception into a response in the dialect's shape: its code is counted, and a fault of ours is logged."""
    if not isinstance(error, ApiError):
        request_id = getattr(context, "aws_request_id", "unknown")
        # The frames and not the message: an exception's message may quote the request, and inputs are never logged.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("request %s failed with %s\n%s", request_id, type(error).__name__, frames)
        error = ApiError("internal_error", f"an internal error: look for request {request_id} in the function's log")
    call = current()
    call.code = error.code
    body = error_body(error, call.dialect)
    # A caller of a direct Invoke has no status to look at, and one place for an error, whatever its dialect.
    return Response(error.status, {**body, **error.body()} if invoked else body, error.headers)


def _instead(path: str, known: Collection[str]) -> str:
    """Say which paths there are, or what is in front of one of them."""
    if path.endswith(COHERE_1) and "/v2/embed" in known:  # whatever the base URL had in front of it
        return "Cohere's v1 is not answered: take cohere.ClientV2 (JavaScript: CohereClientV2), which asks /v2/embed"
    if f"/v1{path}" in known:  # as of a client that was given the address alone, and whose base is to end in "/v1"
        return f"put /v1 in front of it, as in the base URL: /v1{path}"
    if "/deployments/" in path and path.endswith("/embeddings"):  # with and without `azure_endpoint`
        return "Azure's addresses are not answered: take openai.OpenAI in the place of AzureOpenAI"
    if without_key(path) in known:
        return "a key stands in the path of Weaviate's routes alone: send `authorization: Bearer <key>`"
    plain = "/" + "/".join(filter(None, path.split("/")))
    if plain != path and plain.endswith(tuple(known)):  # as of a Function URL, which ends in a slash, and "/v1"
        return f"leave out the slashes that are too many: {shorten(plain)}"
    for given in known:  # the base URL of a client, which adds a route to it
        for base in ("/v1", ""):
            if path.startswith(f"{given}/") and (asked := base + path.removeprefix(given)) in known:
                return f"leave {given.removeprefix(base)} out of the base URL: the client asks {asked} then"
    for route in known:
        if route != "/" and path.endswith(route):
            base = path.removesuffix(route)
            if any(other.startswith(f"{base}/") for other in known):  # as "/v1" twice, where a client adds its own
                return f"leave out {shorten(base)} in front of {route}. There are {', '.join(known)}"
            return f"if {shorten(base)} is a base path of your domain in front of {route}, set OPENCLIP_BASE_PATH to it"
    return f"there are {', '.join(known)}"


def _route(service: Service, request: Request, table: Table) -> Response:
    routes = served(service.settings, table)
    methods = routes.get(request.path)
    if methods is None:
        if service.models_or_none is None:
            raise ApiError("not_ready", service.problem or "not started")  # what it lacks may have had such a route
        raise ApiError("not_found", f"no route {shorten(request.path)}: {_instead(request.path, routes)}")
    current().dialect = DIALECT_OF.get(request.path)
    taken = {*methods, *(method for (method, path), other in SAME.items() if path == request.path and other in routes)}
    if request.method == "OPTIONS":
        return cors.preflight(request, taken, service.settings)
    # HEAD is GET without the body: see events.shape
    respond = methods.get("GET" if request.method == "HEAD" else request.method)
    if respond is None:
        allowed = cors.allowed(taken)
        raise ApiError("method_not_allowed", f"{request.path} takes {allowed}", headers={"allow": allowed})
    return respond(service, request)
