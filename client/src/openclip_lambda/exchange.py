"""What is sent to the API, read from it and retried, independent of the transport."""

import email.utils
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from openclip_lambda.address import base_url
from openclip_lambda.credentials import Headers, Sign, unsigned
from openclip_lambda.errors import ResponseError, error_of
from openclip_lambda.transport import Response, Transport

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds before each further try
MAX_JSON_BYTES = 4_000_000  # of a request's items: Lambda takes 6 MB, and wraps the request in an event first
MAX_WAIT = 60.0  # seconds that `retry-after` may ask for
NEVER_AGAIN = (501, 505)  # of the 5xx; others may pass, as no free concurrency, or a cold start longer than 29 s
MANIFEST = "x-openclip-manifest"  # names the vectors of the model that answered: 64 hex digits
FULL = "x-openclip-full"  # names the texts, at most 32 of them, that fill the model's context
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


class Exchange:
    """One API by its address. Raises ClientError for an address or a proxy that cannot be used."""

    def __init__(self, url: str, sign: Sign = unsigned, insecure_http: bool = False) -> None:
        self.url = base_url(url, insecure_http)
        self.transport = Transport(self.url)
        self.on_retry: Callable[[ResponseError, float], None] = lambda error, seconds: None
        self._sign = sign
        self._answered = False  # becomes true with the first response; then every lost connection is retried

    def prepare(self, method: str, path: str, body: bytes | None) -> tuple[str, Headers]:
        """Return the address and the headers of a request; each try is signed anew."""
        url = self.url + path
        return url, self._sign(method, url, {"content-type": "application/json"}, body)

    def read(self, url: str, response: Response, headers: Headers) -> Any:
        """Return the JSON of a response. Raises ResponseError, with the API's own message, if it is an error."""
        self._answered = True
        if response.status != 200:
            raise _refusal(url, response, headers)
        try:
            content = json.loads(response.body)
        except (ValueError, RecursionError) as error:
            raise ResponseError(
                f"{url} answered what is not JSON ({_excerpt(response, headers)}): is it the stack's output Url? A "
                "network that wants a sign-in first answers so, too",
                response.status,
            ) from error
        if isinstance(content, dict) and (manifest := response.headers.get(MANIFEST)):
            content.setdefault("manifest_sha256", manifest)
        if isinstance(content, dict) and (full := response.headers.get(FULL)):
            content[FULL] = len(full.split(","))
        return content

    def pause(self, error: ResponseError, tries: int, method: str) -> float:
        """Return how many seconds to wait before the next try. Raises the error if there is to be none."""
        if tries >= len(PAUSES) or not self._may_pass(error, method):
            raise error
        if error.wait is not None and error.wait > MAX_WAIT:
            raise error_of(
                f"{error}. It asks to wait {error.wait:,.0f} s", error.status, error.code, error.param
            ) from error
        seconds = max(PAUSES[tries], error.wait or 0.0)
        self.on_retry(error, seconds)
        return seconds

    def _may_pass(self, error: ResponseError, method: str) -> bool:
        if error.status:
            return error.status == 429 or (error.status >= 500 and error.status not in NEVER_AGAIN)
        return self._answered or (error.may_pass and method == "POST")  # a first GET, as of `health`, fails at once


def to_body(value: Any) -> bytes:
    """Return the JSON of a request's body."""
    return json.dumps(value).encode()


def _refusal(url: str, response: Response, headers: Mapping[str, str]) -> ResponseError:
    """Return the error with the message of the API's response, or of the gateway's."""
    status = response.status
    if 300 <= status < 400:
        place = _without_secrets(_place(response.headers.get("location") or ""), headers)[:200]
        told = f"a redirect to {place}, which is not followed with credentials: is that the address to give as --url?"
        return error_of(f"{url} answered {status}: {told}", status)
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
    return error_of(
        f"{url} answered {status}: {told}",
        status,
        code if isinstance(code, str) else None,
        param if isinstance(param, str) else None,
        told,
        _wait(response.headers.get("retry-after")),
    )


def _place(location: str) -> str:
    """Return the target of a redirect without user, password and query, which may be secrets."""
    try:
        parts = urlsplit(location)
    except ValueError:  # brackets of an IPv6 address
        return "an address that cannot be read"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) or "no address"


def _excerpt(response: Response, headers: Mapping[str, str]) -> str:
    kind = str(response.headers.get("content-type") or "no content type").partition(";")[0]
    text = " ".join(response.body[:400].decode(errors="replace").split())
    return f"{kind}: {_without_secrets(text, headers)[:200]!r}" if text else "no content"


def _without_secrets(text: str, headers: Mapping[str, str]) -> str:
    """Replace the request's credentials in a text: some servers repeat the request in their errors."""
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
        at = email.utils.parsedate_to_datetime(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)  # the oldest form of a date in HTTP has no zone
        return max(0.0, at.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
