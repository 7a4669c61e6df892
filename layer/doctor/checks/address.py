"""A function that runs: asked as a client would, and judged by what it responds."""

import http.client
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from layer.doctor.checks.symptoms import symptoms
from layer.doctor.limits import UnreadableError
from layer.doctor.readers.shapes import as_dict, parse
from layer.errors import DoctorError
from layer.findings.finding import Finding

TIMEOUT = 35  # seconds: past API Gateway's own 30
MAX_RESPONSE = 1_000_000  # bytes
LOCAL = ("localhost", "127.0.0.1", "::1")
WRAPPING = " \t\r\n\v\f'\"\ufeff"  # around a key that was copied, or read from a file
STATUS = {401: "not-allowed", 403: "not-allowed", 413: "too-large", 502: "died", 504: "timed-out"}


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follow redirects on the same origin only: the key must not reach another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if _origin(newurl) != _origin(req.full_url):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def address_problems(url: str, key: str | None) -> Iterator[Finding]:
    """Ask for the health, then for one embedding, and name what is wrong with the responses.

    Raises DoctorError where nothing answers, and where the key would be sent in the clear, or is none; the message does
    not show it.
    """
    base, key = url.rstrip("/"), _cleaned(key)
    if key and base.startswith("http://") and urllib.parse.urlsplit(base).hostname not in LOCAL:
        raise DoctorError(f"OPENCLIP_API_KEY would be sent to {base} unencrypted: use https://, or unset it")
    status, text = _ask(f"{base}/health?deep=true", None, key)
    if status == 0:
        raise DoctorError(
            f"{base} {text}: check the address (the deployment's output Url), and the network and proxy of this machine"
        )
    health = _object(text)
    if status == 200 and "manifest_sha256" in health:
        if health.get("status") != "ok":
            yield Finding("unhealthy", f"{base}/health", str(health.get("reason"))[:300])
    elif status not in (200, 404):
        yield from _refused(f"{base}/health", status, text)
    status, text = _ask(f"{base}/v1/embeddings", json.dumps({"input": ["a red circle"]}).encode(), key)
    if status != 200:
        yield from _refused(f"{base}/v1/embeddings", status, text)
        return
    yield from _embedding_problems(f"{base}/v1/embeddings", text)


def _cleaned(key: str | None) -> str | None:
    """Take off what a file or copying left around the key. Raises DoctorError for one that no header may carry."""
    found = (key or "").strip(WRAPPING)
    if found.lower().startswith("bearer "):
        found = found[len("bearer ") :].strip(WRAPPING)
    wrong = [place for place, letter in enumerate(found, 1) if not "!" <= letter <= "~"]
    if wrong:
        raise DoctorError(
            f"OPENCLIP_API_KEY is not a key: it has white space or other characters at character {wrong[0]} of "
            f"{len(found)}; copy it again, on one line"
        )
    return found or None


def _embedding_problems(where: str, text: str) -> Iterator[Finding]:
    try:
        vector = [float(value) for value in _object(text)["data"][0]["embedding"]]
        length = math.hypot(*vector)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        yield Finding("not-an-embedding", where, text[:100])
        return
    if not math.isclose(length, 1, abs_tol=1e-3):
        yield Finding("not-unit-length", where, f"{length:.4f}")


def _refused(where: str, status: int, text: str) -> Iterator[Finding]:
    known = list(symptoms(text, where))
    yield from known
    if not known:
        yield Finding(STATUS.get(status, "refused"), where, f"status {status}, {text[:200].strip()}")


def _ask(url: str, body: bytes | None, key: str | None) -> tuple[int, str]:
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    opener = urllib.request.build_opener(_SameOrigin())
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - http and https only, checked by the caller
        with opener.open(request, timeout=TIMEOUT) as response:
            return response.status, response.read(MAX_RESPONSE).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, _body(error)
    except TimeoutError:
        return 504, f"nothing came within {TIMEOUT} s"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, f"cannot be reached: {error}"


def _body(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(MAX_RESPONSE).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""


def _object(text: str) -> dict[str, Any]:
    try:
        return as_dict(parse(text, ""))
    except UnreadableError:
        return {}


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc
