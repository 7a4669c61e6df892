"""Requests to the API: JSON there and back, again where it is busy, an exception with the API's own words otherwise."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from client.credentials import Sign, nobody
from client.errors import AnswerError, ClientError

# Throttled (429 by the gateway; 500 or 503 where the function had no place left), or a cold start that took longer than
# the gateway waits.
AGAIN = (429, 500, 502, 503, 504)
PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before each further try
SECONDS = 35  # of one request: the gateway gives up at 30


@dataclass(frozen=True)
class Api:
    """An API by its address."""

    url: str
    sign: Sign = nobody

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ClientError(f"{self.url!r} is no address: give the stack's output Url, as https://...")

    def get(self, path: str) -> Any:
        """GET. Raises AnswerError."""
        return self._send("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body. Raises AnswerError."""
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> Any:
        for pause in (*PAUSES, None):
            try:
                return self._once(method, path, body)
            except AnswerError as error:
                if pause is None or error.status not in AGAIN:
                    raise
            time.sleep(pause)
        raise AssertionError("the last try has no pause")

    def _once(self, method: str, path: str, body: bytes | None) -> Any:
        url = self.url.rstrip("/") + path
        headers = self.sign(method, url, {"content-type": "application/json"}, body)
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AnswerError(_explain(url, error.code, error.read()), error.code) from error
        except (urllib.error.URLError, OSError) as error:
            raise AnswerError(f"{url} does not answer: {getattr(error, 'reason', error)}") from error
        except ValueError as error:
            raise AnswerError(f"{url} answered what is not JSON: is it the stack's output Url?") from error


def _explain(url: str, status: int, body: bytes) -> str:
    """Take the API's message out of its error, or the gateway's out of its own."""
    try:
        content = json.loads(body)
        told = content["error"]["message"] if "error" in content else content.get("message") or content.get("reason")
    except (ValueError, TypeError, KeyError, AttributeError):
        told = body[:200].decode(errors="replace")
    mend = {401: ": give --api-key or --sigv4", 403: ": the credentials are not those of this API"}.get(status, "")
    return f"{url} answered {status}: {told}{mend}"
