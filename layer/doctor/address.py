"""A function that runs: asked as a client would, and judged by what it answers."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from layer.doctor.finding import Finding
from layer.doctor.symptoms import symptoms

TIMEOUT = 35  # seconds: past API Gateway's own 30
MAX_ANSWER = 1_000_000  # bytes
STATUS = {
    401: ("not-allowed", "it wants a key", "set OPENCLIP_API_KEY to it"),
    403: (
        "not-allowed",
        "it refuses this caller",
        "set OPENCLIP_API_KEY; a function URL of type IAM wants a signed request",
    ),
    413: ("too-large", "the request was too large", "Lambda takes 6 MB"),
    502: ("died", "the function died, or answered what is no HTTP answer", "doctor its log: a file will do"),
    504: ("timed-out", "it took longer than the gateway's 30 seconds", "SnapStart or a faster load; doctor its image"),
}


def address_problems(url: str, key: str | None) -> Iterator[Finding]:
    """Ask for the health, then for one embedding, and name what is wrong with the answers."""
    base = url.rstrip("/")
    status, text = _ask(f"{base}/health?deep=true", None, key)
    health = _json(text)
    if status == 200 and isinstance(health, dict) and "manifest_sha256" in health:
        if health.get("status") != "ok":
            yield Finding("unhealthy", f"{base}/health", str(health.get("reason")), "build and deploy again")
    elif status not in (200, 404):
        yield from _refused(f"{base}/health", status, text)
    status, text = _ask(f"{base}/v1/embeddings", json.dumps({"input": ["a red circle"]}).encode(), key)
    if status != 200:
        yield from _refused(f"{base}/v1/embeddings", status, text)
        return
    yield from _embedding_problems(f"{base}/v1/embeddings", _json(text))


def _embedding_problems(where: str, answer: Any) -> Iterator[Finding]:
    try:
        vector = [float(value) for value in answer["data"][0]["embedding"]]
    except (KeyError, IndexError, TypeError, ValueError):
        yield Finding(
            "not-an-embedding", where, f"the answer is no embedding: {str(answer)[:100]}", "see the README's routes"
        )
        return
    length = math.sqrt(sum(value * value for value in vector))
    if not math.isclose(length, 1, abs_tol=1e-3):
        yield Finding(
            "not-unit-length", where, f"the vector's length is {length:.4f}, not 1", "normalise it", fatal=False
        )


def _refused(where: str, status: int, text: str) -> Iterator[Finding]:
    known = list(symptoms(text, where))
    yield from known
    if not known:
        code, what, mend = STATUS.get(status, ("refused", f"status {status}", "doctor its log: a file will do"))
        yield Finding(code, where, f"{what}: {text[:200].strip()}", mend)


def _ask(url: str, body: bytes | None, key: str | None) -> tuple[int, str]:
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - http and https only, checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            return answer.status, answer.read(MAX_ANSWER).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(MAX_ANSWER).decode("utf-8", "replace")
    except TimeoutError:
        return 504, f"no answer within {TIMEOUT} s"
    except (urllib.error.URLError, OSError) as error:
        return 0, f"cannot be reached: {error}"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
