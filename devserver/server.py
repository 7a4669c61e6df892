"""One connection of the local server: each request becomes an event, each answer is taken out of its envelope."""

import base64
import hmac
import json
import re
import time
import uuid
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from devserver.body import BodyError, read_body
from devserver.environment import Environment

if TYPE_CHECKING:
    from devserver.other_sites import OtherSites
    from devserver.remote import Remote
    from devserver.search import LocalSearch

MAX_GATEWAY_BYTES = 10 * 1024 * 1024  # API Gateway's payload quota
MAX_EVENT_BYTES = 6 * 1024 * 1024  # Lambda's synchronous payload quota, base64 and envelope included
TIMEOUT_SECONDS = 30  # of an HTTP API's integration; reported in the context, not enforced
KEYED_PATH = re.compile(r"/k/([^/?]+)/(?:vectorize|meta|\.well-known/(?:live|ready))(?:$|\?)")
ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)
ANY_KEY = re.compile(r"(/k/)[^/?\s]+")
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")  # the others travel as base64


class Context:
    """What a handler reads from Lambda's context object."""

    function_name = "openclip"
    function_version = "$LATEST"

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._deadline = time.monotonic() + TIMEOUT_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the gateway would have given up."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class RequestHandler(BaseHTTPRequestHandler):
    """One connection: each request becomes an HTTP API 2.0 event, each response is taken out of its envelope."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # of an idle connection
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait for the first's receipt
    api_key = ""
    environment = Environment()
    search: "LocalSearch | None" = None  # where an index is served beside the API
    remote: "Remote | None" = None  # where the function runs elsewhere
    other_sites: "OtherSites | None" = None  # where only this machine reaches the server, and no key is asked for

    def handle_one_request(self) -> None:
        """Serve a request. The client may close the connection before the answer: that is no error to print."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def parse_request(self) -> bool:
        """Read the request's head. What a client of a proxy sends, a whole address, stands for its path (RFC 9112)."""
        parsed = super().parse_request()
        if parsed and (origin := ORIGIN.match(self.path)):
            self.path = f"/{self.path[origin.end() :].removeprefix('/')}"
        return parsed

    def _serve(self) -> None:
        try:
            body = read_body(self.rfile, self.headers, MAX_GATEWAY_BYTES)
        except BodyError as error:
            self._close(error.status, str(error))
            return
        event = self._event(body)
        if len(json.dumps(event)) > MAX_EVENT_BYTES:
            self._close(413, "Request Entity Too Large")
            return
        if refusal := self._refusal():
            self._close(*refusal)
            return
        with self.environment.taken() as taken:
            if taken:
                self._answer(event)
            else:
                self._close(503, "Service Unavailable")

    def _answer(self, event: dict[str, Any]) -> None:
        path, _, query = self.path.partition("?")
        if self.search and self.command in ("GET", "HEAD") and path == self.search.image_path:
            self._send(*self.search.image(query))
            return
        answer = self.environment.invoke(partial(self.invoke, event))
        body = answer["body"].encode()
        self._send(
            answer["statusCode"], answer["headers"], base64.b64decode(body) if answer["isBase64Encoded"] else body
        )

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Call the function."""
        if self.remote:
            return self.remote.invoke(event)
        if self.search:
            from handler.app import SERVICE  # imported by main, as the next one is; here they are only looked up
            from handler.http import dispatch

            return dispatch.handle(SERVICE, event, Context(), self.search.table)
        from handler.app import lambda_handler

        return lambda_handler(event, Context())

    def _refusal(self) -> tuple[int, str] | None:
        """Return what an HTTP API answers to a request without the right key; None for the right one.

        Without a key to ask for, a page of another site is refused where it may do harm.
        """
        if self.other_sites and (why := self.other_sites.refusal(self.command, self.headers)):
            return 403, why
        from handler.http.routes import PAGES  # imported by main; here it is only looked up

        if not self.api_key or (self.command in ("GET", "HEAD") and self.path.partition("?")[0] in PAGES):
            return None
        if self.command == "OPTIONS" and "access-control-request-method" in self.headers:
            return None  # a browser sends no credential with a preflight (Fetch), and the gateway answers it without
        in_path = KEYED_PATH.match(self.path)  # for Weaviate's module, which sends no header
        given = f"Bearer {in_path[1]}" if in_path else self.headers.get("authorization")
        if given is None:
            return 401, "Unauthorized"
        right = hmac.compare_digest(given.encode(), f"Bearer {self.api_key}".encode())
        return None if right else (403, "Forbidden")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write a line for a request, without a key that stands in its path."""
        self.log_message('"%s" %s %s', ANY_KEY.sub(r"\1...", self.requestline), str(code), str(size))

    def __getattr__(self, name: str) -> Any:
        """Serve every method, also those that the standard library has never heard of: the function says 405."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _event(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        names = dict.fromkeys(name.lower() for name in self.headers)
        headers = {name: ",".join(self.headers.get_all(name, [])) for name in names}
        content, encoded = _as_text(body, headers.get("content-type", ""))
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "stage": "$default",
                "requestId": str(uuid.uuid4()),
                "http": {"method": self.command, "path": path, "protocol": self.request_version},
            },
            "body": content,
            "isBase64Encoded": encoded,
        }

    def _close(self, status: int, message: str) -> None:
        """Answer as the gateway would, without calling the function; what was sent after the head stays unread."""
        self.close_connection = True
        headers = {"content-type": "application/json", "connection": "close"}
        self._send(status, headers, json.dumps({"message": message}).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _as_text(body: bytes, content_type: str) -> tuple[str, bool]:
    """Return the event's body, and whether it is base64: API Gateway decides by the content type."""
    if content_type.lower().startswith(TEXT_TYPES):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # not the text that it says it is: travels as the bytes that it is
    return base64.b64encode(body).decode("ascii"), True
