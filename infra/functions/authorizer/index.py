"""The Lambda authorizer of `auth: api_key`: lets a request through whose bearer token is the secret's value.

Runs on Lambda's own Python runtime, which brings boto3; nothing else is needed here.
"""

import hmac
import os
import time
from typing import Any

import boto3

CACHE_SECONDS = 60  # how long a key that was replaced may still be let through
RECHECK_SECONDS = 5  # how soon a key that was just replaced is taken; no sooner, so that guessing costs no lookups

_secrets = boto3.client("secretsmanager")
_cached = ("", float("-inf"))  # the key, and the time.monotonic() at which it was read


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Answer an HTTP API's authorizer request, payload 2.0, simple response."""
    scheme, _, token = event.get("headers", {}).get("authorization", "").strip().partition(" ")
    presented = token.strip().encode()
    if scheme.lower() != "bearer" or not presented:
        return {"isAuthorized": False}
    return {"isAuthorized": _matches(presented, CACHE_SECONDS) or _matches(presented, RECHECK_SECONDS)}


def _matches(presented: bytes, max_age: float) -> bool:
    """Compare in constant time with a key that was read no longer ago than `max_age` seconds."""
    global _cached
    if time.monotonic() - _cached[1] > max_age:
        _cached = (_secrets.get_secret_value(SecretId=os.environ["SECRET_ARN"])["SecretString"], time.monotonic())
    return hmac.compare_digest(presented, _cached[0].encode())
