"""Every way in which a Lambda function is called over HTTP, or invoked directly, as one Request; and the way back."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from handler.errors import ApiError
from handler.messages import MODEL_PREFIX, Request, Response, encode_json, without_prefix

Event = Mapping[str, Any]
NO_CONTENT = 204
WORTH_COMPRESSING = 1_000  # bytes
# Fields of a request's envelope, as VPC Lattice, a WebSocket API or half an event of a test has them; no body has one.
ENVELOPE = ("requestContext", "httpMethod", "rawPath", "raw_path", "multiValueHeaders", "isBase64Encoded")
SCHEDULES = ("aws.events", "aws.scheduler")  # a rule of EventBridge, and EventBridge Scheduler


def is_http(event: Any) -> bool:
    """Tell an HTTP envelope from a direct Invoke, whose event is the JSON body itself."""
    context = event.get("requestContext") if isinstance(event, Mapping) else None
    return isinstance(context, Mapping) and ("http" in context or "httpMethod" in event)


def event_source(event: Any) -> str | None:
    """Name the service whose own event this is, as `aws:sqs`: it reads no response, and takes any for a success.

    Not of a schedule, by which functions are kept warm: there is nothing in it to lose.
    """
    records = event.get("Records") if isinstance(event, Mapping) else event  # EventBridge's pipes send the list alone
    first = records[0] if isinstance(records, list) and records else event
    name = first.get("eventSource") or first.get("EventSource") if isinstance(first, Mapping) else None
    if name is None and isinstance(event, Mapping) and "detail-type" in event and event.get("source") not in SCHEDULES:
        name = event.get("source")
    return name if isinstance(name, str) else None


def check_bare(event: Any) -> None:
    """Raise ApiError invalid_event for an envelope of another sender, whose body is in it."""
    found = next((name for name in ENVELOPE if isinstance(event, Mapping) and name in event), None)
    if found:
        raise ApiError(
            "invalid_event",
            f"the event has {found}, but is not a complete request of an HTTP API, a REST API, a Function URL or an "
            "Application Load Balancer: call the function through one of these (VPC Lattice and WebSocket APIs are not "
            "answered), or invoke it with the JSON body alone",
            found,
        )


def parse(event: Event, max_body_bytes: int) -> Request:
    """Read an event of API Gateway (HTTP API 2.0, REST API 1.0), of a Function URL (2.0) or of a load balancer.

    Raises ApiError invalid_event for an envelope that none of them sends.
    """
    context = event["requestContext"]
    headers = {name.lower(): value for name, value in _merged(event, "headers", "multiValueHeaders").items()}
    if "http" in context:
        method = _text(_object(context, "http"), "method", "GET")
        # As the client sent it, still encoded.
        query = dict(parse_qsl(_text(event, "rawQueryString", ""), keep_blank_values=True))
        path, route = _text(event, "rawPath", "/"), _text(event, "routeKey", "")
    else:
        method = _text(event, "httpMethod", "GET")
        query = _merged(event, "queryStringParameters", "multiValueQueryStringParameters")
        if "elb" in context:  # a load balancer passes the query on as it came; a REST API decodes it
            query = {unquote_plus(name): unquote_plus(value) for name, value in query.items()}
        path, route = _text(event, "path", "/"), _text(event, "resource", "")
    # An HTTP API puts its stage in front of the path unless it is `$default`; a REST API leaves it out.
    if _of_http_api(event) and (stage := _text(context, "stage", "")):
        path = without_prefix(path, f"/{stage}")
    body = _text(event, "body", "")
    return Request(
        method.upper(),
        unquote(path),
        headers,
        query,
        body,
        bool(event.get("isBase64Encoded")),
        max_body_bytes,
        _inflate,
        _by_route(event, route),
        _object(context, "authorizer"),
    )


def _inflate(body: bytes, coding: str, max_bytes: int) -> bytes:
    from handler.http.inflate import inflate  # late: most bodies come as they are

    return inflate(body, coding, max_bytes)


def shape(response: Response, event: Event, request: Request | None, vectors: int = 0) -> dict[str, Any]:
    """Put a response, of so many vectors, into the envelope that the event's sender reads."""
    content, encoded, more = _content(response, request, _passes_bytes(event), vectors)
    headers = {**more, **response.headers}
    if both := [some["vary"] for some in (more, response.headers) if "vary" in some]:
        headers["vary"] = ", ".join(both)
    envelope: dict[str, Any] = {
        "statusCode": response.status,
        "headers": headers,
        "body": content,
        "isBase64Encoded": encoded,
    }
    if "elb" in event["requestContext"]:
        from http import HTTPStatus

        phrases = {known.value: known.phrase for known in HTTPStatus}  # the deployment's own code may answer any other
        envelope["statusDescription"] = f"{response.status} {phrases.get(response.status, 'Unnamed')}"
        if "multiValueHeaders" in event:  # a target group with multi-value headers reads nothing else
            del envelope["headers"]
            envelope["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    return envelope


def _passes_bytes(event: Event) -> bool:
    """Tell whether base64 of a response becomes bytes again.

    In a REST API it does for the media types alone that its owner has named, by the first type that the client accepts.
    """
    return "elb" in event["requestContext"] or _of_http_api(event)


def _of_http_api(event: Event) -> bool:
    """Tell an HTTP API's or a Function URL's event; one of format 1.0 is a REST API's but for its version."""
    return "http" in event["requestContext"] or event.get("version") == "1.0"


def _content(
    response: Response, request: Request | None, bytes_: bool, vectors: int
) -> tuple[str, bool, dict[str, str]]:
    """Return the body, whether it is base64, and the headers that say what it is."""
    if response.status == NO_CONTENT:
        return "", False, {}
    headers, packed = {"content-type": response.media_type}, False
    if isinstance(response.body, str) and len(response.body) >= WORTH_COMPRESSING and bytes_:
        headers["vary"] = "accept-encoding"  # also where it is not compressed: a cache is to know that there are two
        if packed := _takes_gzip(request.headers.get("accept-encoding", "") if request else ""):
            headers["content-encoding"] = "gzip"
    if request and request.method == "HEAD":  # what a GET would have said of itself, and no body
        return "", False, headers
    if not isinstance(response.body, str):
        return encode_json(response.body, vectors), False, headers
    if not packed:
        return response.body, False, headers
    import gzip  # late, as above: no response with embeddings needs them

    return base64.b64encode(gzip.compress(response.body.encode(), 6, mtime=0)).decode("ascii"), True, headers


def _takes_gzip(accepted: str) -> bool:
    """Read Accept-Encoding (RFC 9110, 12.5.3), where `gzip;q=0` says that it is not taken."""
    for one in accepted.lower().split(","):
        name, _, weight = one.replace(" ", "").partition(";")
        if name == "gzip":
            return weight.rstrip("0.") != "q="
    return False


def _object(holder: Event, name: str) -> Event:
    """Return an object of the envelope; absent and null are the empty one."""
    value = holder.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise _invalid_event(name)
    return value or {}


def _text(holder: Event, name: str, default: str) -> str:
    """Return a string of the envelope; absent, null and empty are the default."""
    value = holder.get(name)
    if value is not None and not isinstance(value, str):
        raise _invalid_event(name)
    return value or default


def _invalid_event(name: str) -> ApiError:
    return ApiError("invalid_event", f"{name} of the event is not what API Gateway or a load balancer sends", name)


def _merged(event: Event, single: str, multiple: str) -> dict[str, str]:
    """Return the headers or parameters of either form; of several values the last counts."""
    lists = _object(event, multiple)
    last = {name: values[-1] for name, values in lists.items() if isinstance(values, list) and values}
    merged = {**last, **_object(event, single)}
    return {str(name): value for name, value in merged.items() if isinstance(value, str)}


def _by_route(event: Event, route: str) -> str:
    """Return the path of `POST /v1/embeddings`, or what `{proxy+}` stands for at a route's end."""
    path = route.rpartition(" ")[2]
    if not path.endswith("+}"):
        return path
    value = _object(event, "pathParameters").get(path.rpartition("{")[2].removesuffix("+}"))
    front = MODEL_PREFIX if path.startswith(MODEL_PREFIX) else "/"  # in front of `{proxy+}` may stand a base path
    return f"{front}{value}" if isinstance(value, str) else ""
