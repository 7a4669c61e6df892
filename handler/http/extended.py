"""Code of the deployment's own around a request: its routes, its authentication, its metrics."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from handler.endpoints import embeddings
from handler.errors import ApiError
from handler.extensions import Extension, Model
from handler.extensions.calls import CODE, call, failed, header_problem, plain_headers
from handler.extensions.preprocessing import facts
from handler.http.routes import PAGES, Endpoint, Table
from handler.messages import Request, Response
from handler.schemas.fields import TEXT, Item
from handler.schemas.limits import ENVELOPE_BYTES, response_limit
from handler.schemas.validation import read_json
from handler.service import Service
from handler.telemetry.invocation import Call
from handler.telemetry.metrics import OURS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIRECT = "openclip"  # a key of an event that no gateway sends: who sends it may invoke the function itself
NAME = re.compile(r"[!-~]{1,128}")  # of a caller
METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
MOST = 2**360  # of a value: CloudWatch drops what is beyond it, and what is no number
MOST_METRICS = 20  # names of an execution environment, ever: CloudWatch bills each by the month
_names: set[str] = set()
_joined: list[tuple[Table, Extension, Table]] = []  # the last that was made, and of which


class OwnService:
    """What a route of the deployment's own may ask: `handler.extensions.Service`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def models(self) -> Sequence[Model]:
        """The bundle's models."""
        return [facts(entry) for entry in self._service.models.manifest.models]

    def embed(self, inputs: Sequence[str | bytes], model: str | None = None) -> "NDArray[np.float32]":
        """Embed texts and images: float32 [N, D], of unit length. Raises ApiError."""
        service, most = self._service, self._service.settings.max_items
        if not inputs or isinstance(inputs, str | bytes) or not all(isinstance(one, str | bytes) for one in inputs):
            raise TypeError("embed takes a list of texts and of images' bytes")
        if len(inputs) > most:
            raise ApiError("too_many_items", f"{len(inputs):,} items: send at most {most:,} at once")
        items = [_item(one, f"input[{place}]", service) for place, one in enumerate(inputs)]
        loaded = service.model(model, embeddings.modalities(items))
        return embeddings.unit(embeddings.embed(items, loaded, service.settings)[0])

    def read_json(self, request: Request) -> Any:
        """Read the request's body. Raises ApiError."""
        return read_json(request)


def _item(value: str | bytes, param: str, service: Service) -> Item:
    """Return a text, which has the limits of ours, or an image's bytes. Raises ApiError."""
    if isinstance(value, str):
        return TEXT.read(value, param, service.settings)
    if not value:
        raise ApiError("empty_input", f"{param} is an image of no bytes", param)
    return Item(value, param)


def with_routes(table: Table, extension: Extension) -> Table:
    """Return a table that has the extension's routes, too: the same at every call, since a function has one of each."""
    for known, of, whole in _joined:
        if known is table and of is extension:
            return whole
    whole = _join(table, extension)
    _joined[:] = [(table, extension, whole)]  # in one step: several threads may answer
    return whole


def _join(table: Table, extension: Extension) -> Table:
    own = {
        path: {method: _endpoint(extension, f"{method} {path}", function) for method, function in methods.items()}
        for path, methods in extension.routes.items()
    }
    return table._replace(routes={**table.routes, **own})


def _endpoint(extension: Extension, route: str, function: Any) -> Endpoint:
    def respond(service: Service, request: Request) -> Response:
        made = call(extension, route, function, request, OwnService(service))
        finished: Response = call(extension, route, _finished, extension, route, made)  # it may have code of its own
        return finished

    return respond


def _finished(extension: Extension, route: str, made: Any) -> Response:
    """Return what a route made as a response that can be sent. Raises ApiError."""
    response = Response(200, made) if isinstance(made, Mapping) else made
    if problem := _problem(response):
        failed(extension, route, problem)
    body = response.body
    if not isinstance(body, str):
        try:
            body = json.dumps(body, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            failed(extension, route, f"a body that JSON cannot hold ({type(error).__name__})")
    size = len(json.dumps(body)) + ENVELOPE_BYTES  # as it is in the envelope, escaped once more
    most, limit = response_limit()
    if size > most:
        raise ApiError("answer_too_large", f"the response takes {size:,} bytes, and {limit}: ask for less")
    return response._replace(body=body, headers=plain_headers(response.headers))


def _problem(response: Any) -> str | None:
    """Say what is wrong with a response, where a gateway would refuse it or a caller could not read it."""
    if not isinstance(response, Response):
        return f"{type(response).__name__} instead of a Response or an object"
    if type(response.status) is not int or not 200 <= response.status <= 599:
        return f"the status {response.status!r:.20}"
    if not isinstance(response.body, str | Mapping | Sequence) or isinstance(response.body, bytes):
        return f"a body that is {type(response.body).__name__}: give an object, a list or a text"
    if isinstance(response.body, str) and not _is_unicode(response.body):
        return "a text that is not Unicode: half a surrogate pair"
    if not isinstance(response.media_type, str):
        return "a media_type that is no text"
    return header_problem(response.headers) or header_problem({"content-type": response.media_type})


def _is_unicode(text: str) -> bool:
    return text.isascii() or text.encode(errors="ignore").decode() == text


def authenticated(extension: Extension, request: Request, event: Mapping[str, Any]) -> Request:
    """Ask the extension who calls. Raises the ApiError with which it refuses, or extension_failed.

    Not asked: a preflight and the pages, which browsers send without credentials, and who may invoke the function
    itself, as the health gate of a deployment does. Nothing but a name lets a request pass.
    """
    page = request.path in PAGES and request.method in ("GET", "HEAD")
    if extension.authenticate is None or page or request.method == "OPTIONS" or DIRECT in event:
        return request
    principal = call(extension, "authenticate", extension.authenticate, request)
    if not isinstance(principal, str) or not NAME.fullmatch(principal):
        what = f"{type(principal).__name__} instead of the caller's name, 1 to 128 letters of ASCII without spaces"
        failed(extension, "authenticate", what)
    return request._replace(principal=principal)


def measure(extension: Extension, call_: Call, request: Request, response: Response) -> None:
    """Ask the extension for its metrics. What is wrong with them is logged and counted; the response stays."""
    if extension.metrics is None:
        return
    try:
        found = call(extension, "metrics", extension.metrics, request, response)
        call_.own = call(extension, "metrics", _checked, extension, found)
    except ApiError:
        call_.code = call_.code or CODE


def _in_full(value: Any) -> int | float:
    """Return a number as Python's own: numpy compares its own kinds in their range alone."""
    try:
        return value if isinstance(value, int) else float(value)
    except OverflowError:  # of a fraction
        return math.inf


def _checked(extension: Extension, found: Any) -> dict[str, float]:
    if not isinstance(found, Mapping):
        failed(extension, "metrics", f"{type(found).__name__} instead of an object of numbers")
    for name, value in found.items():
        if not isinstance(name, str) or not METRIC.fullmatch(name) or name.lower() in OURS:
            rule = "begin with a letter, take letters, digits and _, 63 at most, and no name of ours"
            failed(extension, "metrics", f"the name {name!r:.80}: {rule}")
        if isinstance(value, bool) or not isinstance(value, Real) or not -MOST <= _in_full(value) <= MOST:
            failed(extension, "metrics", f"{name}, which is not an int or a float from -2^360 to 2^360")
    if len(_names | found.keys()) > MOST_METRICS:
        failed(extension, "metrics", f"more than {MOST_METRICS} names: CloudWatch bills each of them by the month")
    _names.update(found)
    return {name: float(value) for name, value in found.items()}
