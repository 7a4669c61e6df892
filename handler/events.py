"""Every way in which a Lambda function is called over HTTP, or invoked directly, as one Request; and the way back."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from handler.errors import ApiError

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """One request. Header names are lower case; of a repeated header or parameter the last value counts."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower case; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Answer:
    """A status, a JSON body and, where they matter, headers."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def is_http(event: Any) -> bool:
    """Tell an HTTP envelope from a direct Invoke, whose event is the JSON body itself."""
    context = event.get("requestContext") if isinstance(event, Mapping) else None
    return isinstance(context, Mapping) and ("http" in context or "httpMethod" in event)


def parse(event: Event, max_body_bytes: int) -> Request:
    """Read an event of API Gateway (HTTP API 2.0, REST API 1.0), of a Function URL (2.0) or of a load balancer.

    Raises ApiError body_too_large, or invalid_base64 for a body that is not what its flag says.
    """
    context = event["requestContext"]
    headers = {name.lower(): value for name, value in _merged(event, "headers", "multiValueHeaders").items()}
    body = _body(event, max_body_bytes)
    if "http" in context:
        query = dict(parse_qsl(event.get("rawQueryString") or "", keep_blank_values=True))
        path = _without_stage(event.get("rawPath") or "/", context.get("stage"))
        return Request(context["http"]["method"].upper(), unquote(path), headers, query, body)
    query = _merged(event, "queryStringParameters", "multiValueQueryStringParameters")
    if "elb" in context:  # a load balancer passes the query on as it came
        query = {unquote(name.replace("+", " ")): unquote(value.replace("+", " ")) for name, value in query.items()}
    return Request(event["httpMethod"].upper(), unquote(event.get("path") or "/"), headers, query, body)


def shape(answer: Answer, event: Event) -> dict[str, Any]:
    """Put an answer into the envelope that the event's sender reads."""
    headers = {"content-type": "application/json", **answer.headers}
    envelope: dict[str, Any] = {
        "statusCode": answer.status,
        "headers": headers,
        "body": json.dumps(answer.body, allow_nan=False, separators=(",", ":")),
        "isBase64Encoded": False,
    }
    if "elb" in event["requestContext"]:
        envelope["statusDescription"] = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        if "multiValueHeaders" in event:  # a target group with multi-value headers reads nothing else
            del envelope["headers"]
            envelope["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    return envelope


def _merged(event: Event, single: str, multiple: str) -> dict[str, str]:
    values = {name: value[-1] for name, value in (event.get(multiple) or {}).items() if value}
    return {**values, **(event.get(single) or {})}


def _without_stage(path: str, stage: str | None) -> str:
    """Drop the stage: HTTP APIs put it in front of the path unless it is `$default`."""
    prefix = f"/{stage}"
    return path[len(prefix) :] or "/" if stage and (path == prefix or path.startswith(prefix + "/")) else path


def _body(event: Event, max_body_bytes: int) -> bytes:
    text = event.get("body") or ""
    encoded = bool(event.get("isBase64Encoded"))
    if (len(text) * 3 // 4 - 2 if encoded else len(text)) > max_body_bytes:
        raise too_large(max_body_bytes)
    try:
        body = base64.b64decode(text, validate=True) if encoded else text.encode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError) as error:
        raise ApiError("invalid_base64", "the event says that its body is base64, but it is not") from error
    if len(body) > max_body_bytes:
        raise too_large(max_body_bytes)
    return body


def too_large(max_body_bytes: int) -> ApiError:
    """The error for a body, or one item of it, that is over the limit."""
    return ApiError(
        "body_too_large",
        f"the body is larger than {max_body_bytes:,} bytes: send fewer items, or scale the pictures down",
    )
