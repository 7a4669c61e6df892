"""The Lambda authorizer of `auth: api_key`: lets a request through whose bearer token is the secret's value.

On a route with `{key}` in its path the key stands there: for Weaviate's module, which sends no header.

A key that was put into the secret counts at once, and the one before it for PREVIOUS_KEY_SECONDS more. A key that
cannot be read is an exception: API Gateway answers 500, and keeps nothing of it.
Runs on Lambda's own Python runtime, which brings boto3; nothing else is needed here.
"""

import hmac
import json
import os
import time
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

NAMESPACE = "OpenCLIP"  # of the metrics, as the handler has it
CACHE_SECONDS = 60  # how long a key that was read is let through without a lookup
# The secret is looked up before an unknown token is denied, since it may be a new key. So that 20,000 guesses are not
# as many lookups, there are LOOKUPS of them at once and as many a second after that: 9 US cents an hour, and a new key
# waits a fifth of a second at most. A guess's lookup finds a new key, too.
LOOKUPS = 5
# Two tries within the 10 s of this function, so that a failure is told by its name and not by a timeout.
CONFIG = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 2})


class SecretUnavailableError(Exception):
    """Secrets Manager, or KMS behind it, did not give the key."""


@dataclass(frozen=True)
class Keys:
    """What a lookup found; `read_at` is a time.monotonic(), `previous_until` seconds since 1970."""

    current: bytes
    previous: bytes
    previous_until: float
    read_at: float

    def match(self, token: bytes) -> bool:
        """Compare with both keys, each in constant time."""
        current = hmac.compare_digest(token, self.current)
        previous = hmac.compare_digest(token, self.previous)
        return (current and bool(self.current)) or (previous and time.time() < self.previous_until)


_secrets = boto3.client("secretsmanager", config=CONFIG)
_keys: Keys | None = None
_failed: str | None = None  # why the last lookup failed
_lookups, _refilled_at = float(LOOKUPS), float("-inf")  # how many there are now, and the time.monotonic() of that


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Answer an HTTP API's authorizer request, payload 2.0, simple response. Raises SecretUnavailableError.

    Each refusal leaves a line in the log, which CloudWatch counts.
    """
    try:
        answer = _authorize(event)
    except SecretUnavailableError:
        _count("key_unavailable", "ERROR", event)
        raise
    if not answer["isAuthorized"]:
        _count("key_refused", "INFO", event)
    return answer


def _authorize(event: dict[str, Any]) -> dict[str, bool]:
    presented = _presented(event)
    if not presented:
        return {"isAuthorized": False}
    if _keys and time.monotonic() - _keys.read_at <= CACHE_SECONDS and _keys.match(presented):
        return {"isAuthorized": True}
    return {"isAuthorized": _looked_up().match(presented)}


def _presented(event: dict[str, Any]) -> bytes:
    """Return the key of a request: the path's on a route that has one there, the bearer token's on all others."""
    if "{key}" in event.get("routeKey", ""):
        token = (event.get("pathParameters") or {}).get("key", "")
    else:
        scheme, _, token = event.get("headers", {}).get("authorization", "").strip().partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
    return str(token).encode(errors="replace")


def _looked_up() -> Keys:
    """Return the keys as Secrets Manager has them, or had them a moment ago where there were many lookups just now."""
    global _keys, _failed
    if _may_look_up():
        _failed = None
        try:
            _keys = _read()
        except (BotoCoreError, ClientError) as error:
            _failed = f"{type(error).__name__}: {error}"
    if _failed or _keys is None:
        raise SecretUnavailableError(f"the API key cannot be read from {os.environ['SECRET_ARN']}: {_failed}")
    return _keys


def _may_look_up() -> bool:
    global _lookups, _refilled_at
    now = time.monotonic()
    _lookups, _refilled_at = min(LOOKUPS, _lookups + LOOKUPS * (now - _refilled_at)), now
    if _lookups < 1:
        return False
    _lookups -= 1
    return True


def _read() -> Keys:
    now = time.monotonic()
    found = _secrets.get_secret_value(SecretId=os.environ["SECRET_ARN"])
    until = _replaced_at(found) + float(os.environ.get("PREVIOUS_KEY_SECONDS", "0"))
    previous = _previous() if time.time() < until else b""
    return Keys(_key(found), previous, until, now)


def _replaced_at(found: dict[str, Any]) -> float:
    """When the current version was made, which is when it took the place of the one before it."""
    return float(found["CreatedDate"].timestamp()) if "CreatedDate" in found else float("-inf")


def _previous() -> bytes:
    """The key before this one; empty where there is none."""
    try:
        return _key(_secrets.get_secret_value(SecretId=os.environ["SECRET_ARN"], VersionStage="AWSPREVIOUS"))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return b""
        raise


def _key(found: dict[str, Any]) -> bytes:
    if "SecretString" not in found:
        raise SecretUnavailableError(f"{os.environ['SECRET_ARN']} holds no text: put the key as SecretString")
    return str(found["SecretString"]).strip().encode()


def _count(code: str, level: str, event: dict[str, Any]) -> None:
    """Write one line as the handler does for a refused call: to search, and in CloudWatch's embedded metric format.

    The request's id is the access log's. Nothing of what was presented is in it.
    """
    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    if function is None:
        return
    directive = {
        "Namespace": NAMESPACE,
        "Dimensions": [["FunctionName", "Code"]],
        "Metrics": [{"Name": "Rejected", "Unit": "Count"}],
    }
    line = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        "level": level,
        "message": f"authorizer {code}",
        "request_id": event.get("requestContext", {}).get("requestId", "unknown"),
        "FunctionName": function,
        "Code": code,
        "Rejected": 1,
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)
