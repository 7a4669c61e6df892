"""A function in another process or container, under AWS's runtime interface emulator, which takes events over HTTP."""

import argparse
import json
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

INVOKE = "/2015-03-31/functions/function/invocations"
GATEWAY_SECONDS = 30  # an HTTP API waits no longer for its integration
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to a neighbour


class Remote:
    """An Invoke API at `url`, as http://function:8080."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + INVOKE

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke the function; returns its response, or what an HTTP API answers where there is none.

        That is 503 where the function is not reached in time, and 500 where it ended without a response.
        """
        data = json.dumps(event).encode()
        request = urllib.request.Request(self._url, data)  # noqa: S310 - the scheme was checked
        try:
            with DIRECT.open(request, timeout=GATEWAY_SECONDS) as answer:
                response = json.load(answer)
        except OSError as error:  # of the connection, or an HTTP status that is no success
            reason = getattr(error, "reason", error)  # what urllib wraps where it was still sending
            if isinstance(reason, ConnectionResetError | BrokenPipeError):  # it was reached, and ended
                return _told(500, "Internal Server Error")
            return _told(503, "Service Unavailable")
        except (ValueError, RecursionError, HTTPException):  # no JSON, or an answer that ends in its middle
            return _told(500, "Internal Server Error")
        if isinstance(response, dict) and {"statusCode", "headers", "body", "isBase64Encoded"} <= set(response):
            return response
        return _told(500, "Internal Server Error")


def address(text: str) -> Remote:
    """Read a function's address, for `type=`; argparse tells what is wrong."""
    try:
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.path.strip("/"):
            return Remote(text)
    except ValueError:  # a port that is none
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a function's address: give one such as http://function:8080")


def _told(status: int, message: str) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    return {
        "statusCode": status,
        "headers": headers,
        "body": json.dumps({"message": message}),
        "isBase64Encoded": False,
    }
