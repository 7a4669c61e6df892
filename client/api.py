"""Requests to the API: JSON there and back, again where it is busy, an exception with the API's own words otherwise."""

import email.utils
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from client.address import base_url
from client.credentials import Sign, nobody
from client.errors import ResponseError
from client.transport import Response, Transport

# Throttled (429 by the gateway; 500 or 503 where the function had no place left), or a cold start that took longer than
# the gateway waits.
AGAIN = (429, 500, 502, 503, 504)
PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before each further try
MAX_WAIT = 60.0  # seconds that `retry-after` may ask for
SECRET_HEADERS = ("authorization", "x-amz-security-token")
FIXES = {
    401: ": give --api-key or --sigv4",
    403: ": the credentials are not those of this API",
    404: ": is that the stack's output Url, with its base path and nothing behind it?",
    407: ": put the proxy's user and password into HTTPS_PROXY, as http://user:password@host:port",
    413: ": send fewer items in one request (--batch), or scale them down",
    429: ": it stayed busy. Try later",
    504: ": it took too long. Send fewer items in one request (--batch)",
}


class Api:
    """An API by its address. Raises ClientError for an address or a proxy that cannot be used."""

    def __init__(self, url: str, sign: Sign = nobody, insecure_http: bool = False) -> None:
        self.url = base_url(url, insecure_http)
        self._sign = sign
        self._transport = Transport(self.url)
        self._answered = False  # once: from then on a lost connection is worth another try

    def get(self, path: str) -> Any:
        """GET. Raises ResponseError."""
        return self._send("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body. Raises ResponseError."""
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> Any:
        for pause in (*PAUSES, None):
            try:
                return self._once(method, path, body)
            except ResponseError as error:
                if pause is None or not (error.status in AGAIN or (error.status == 0 and self._answered)):
                    raise
                if error.wait is not None and error.wait > MAX_WAIT:
                    raise ResponseError(f"{error}. It asks to wait {error.wait:,.0f} s", error.status) from error
                time.sleep(max(pause, error.wait or 0.0))
        raise AssertionError("the last try has no pause")

    def _once(self, method: str, path: str, body: bytes | None) -> Any:
        url = self.url + path
        headers = self._sign(method, url, {"content-type": "application/json"}, body)
        response = self._transport.send(method, url, headers, body)
        self._answered = True
        if response.status != 200:
            raise _refusal(url, response, headers)
        try:
            return json.loads(response.body)
        except (ValueError, RecursionError) as error:
            raise ResponseError(
                f"{url} answered what is not JSON ({_excerpt(response, headers)}): is it the stack's output Url? A "
                "network that wants a sign-in first answers so, too",
                response.status,
            ) from error


def _refusal(url: str, response: Response, headers: Mapping[str, str]) -> ResponseError:
    """Take the API's message out of its error, or the gateway's out of its own."""
    status = response.status
    if 300 <= status < 400:
        place = _without_secrets(str(response.headers.get("location")), headers)[:200]
        told = f"a redirect to {place}, which is not followed with credentials: is that the address to give as --url?"
        return ResponseError(f"{url} answered {status}: {told}", status)
    code = param = None
    try:
        content = json.loads(response.body)
        told = content.get("message") or content.get("reason")
        if isinstance(error := content.get("error"), dict):
            told, code, param = error["message"], error.get("code"), error.get("param")
        if not isinstance(told, str):
            raise TypeError("no message of ours")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        told = _excerpt(response, headers)
    told = _without_secrets(told, headers)
    told += "" if code else FIXES.get(status, "")  # with a code, the API says the fix itself
    return ResponseError(
        f"{url} answered {status}: {told}",
        status,
        code if isinstance(code, str) else None,
        param if isinstance(param, str) else None,
        told,
        _wait(response.headers.get("retry-after")),
    )


def _excerpt(response: Response, headers: Mapping[str, str]) -> str:
    kind = str(response.headers.get("content-type") or "no content type").partition(";")[0]
    text = " ".join(response.body[:400].decode(errors="replace").split())
    return f"{kind}: {_without_secrets(text, headers)[:200]!r}" if text else "no content"


def _without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """Take out what the request was signed with: some servers show a request in their errors."""
    for name, value in headers.items():
        if name.lower() in SECRET_HEADERS:
            for secret in (value, value.removeprefix("Bearer ")):
                text = text.replace(secret, "***")
    return text


def _wait(value: str | None) -> float | None:
    """Read `retry-after`: seconds, or a date."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", value.strip()):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
