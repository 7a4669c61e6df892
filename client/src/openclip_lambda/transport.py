"""Connections to an API: by this machine's proxy and certificates, bounded in size and time, without redirects."""

import os
import socket
import ssl
import time
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from openclip_lambda import __version__
from openclip_lambda.address import DEFAULT_PORTS, is_local
from openclip_lambda.errors import ClientError, ResponseError

SECONDS = 35  # of silence: the gateway gives up at 30
MAX_SECONDS = 120  # of one exchange: a server that sends a byte now and then
MAX_RESPONSE_BYTES = 64_000_000  # ten times what Lambda can send: any more is no response of the API
MAX_CONNECTIONS = 256
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
# What `httpx` raises where no complete response came back; the rest of its errors derive from these.
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, zlib.error, ValueError)


@dataclass(frozen=True)
class Response:
    """A complete response of any status; the body is without its content encoding."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """The options of an httpx client for one API, and the errors of requests that get no complete response.

    Raises ClientError if the proxy or the certificates cannot be used.
    """

    def __init__(self, url: str) -> None:
        self.proxy = _proxy(url)
        secure = url.startswith("https://") or (self.proxy or "").startswith("https://")
        self.options: dict[str, Any] = {
            "proxy": self.proxy,
            "verify": _certificates() if secure else False,  # nothing is encrypted: there is nothing to verify
            "timeout": httpx.Timeout(SECONDS, pool=None),
            "limits": httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            "follow_redirects": False,  # so no credential and no image goes elsewhere
            "trust_env": False,  # what of the environment counts is read here
            "headers": {"user-agent": f"openclip-lambda/{__version__}", "accept-encoding": "identity"},
        }

    def failure(self, url: str, error: Exception) -> ResponseError:
        """Return the error, status 0, for a request without a complete response."""
        through = f" through the proxy {_without_password(self.proxy)}" if self.proxy else ""
        told = ResponseError(f"{url} does not answer{through}: {_why(error)}")
        told.may_pass = _may_pass(error)
        return told


class Body:
    """Collects a response's body within bounds of size and time. Raises ValueError or TimeoutError past them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def add(self, part: bytes) -> None:
        """Add received bytes, still in their content encoding."""
        self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_RESPONSE_BYTES:
            raise ValueError(f"it sent more than {MAX_RESPONSE_BYTES:,} bytes, which no response of the API has")
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"it was still sending after {MAX_SECONDS} s")

    def response(self, received: httpx.Response) -> Response:
        """Return the complete response, with the content encoding undone."""
        return Response(received.status_code, received.headers, _decode(received.headers, b"".join(self._parts)))


def _decode(headers: Mapping[str, str], body: bytes) -> bytes:
    """Undo a content encoding that was not asked for."""
    encoding = (headers.get("content-encoding") or "identity").strip().lower()
    if encoding == "identity" or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"its content encoding is {encoding[:40]!r}, which was not asked for")
    unpacking = zlib.decompressobj(32 + zlib.MAX_WBITS)
    content = unpacking.decompress(body, MAX_RESPONSE_BYTES)
    if not unpacking.eof:
        raise ValueError("its compressed body ends early, or is too large")
    return content


def _proxy(url: str) -> str | None:
    """Return the proxy of this address. What is local never goes through one: its key would travel unencrypted."""
    parts = urlsplit(url)
    with_port = f"{parts.hostname}:{parts.port or DEFAULT_PORTS[parts.scheme]}"  # as NO_PROXY may name it
    if is_local(parts.hostname or "") or urllib.request.proxy_bypass(with_port):
        return None
    known = urllib.request.getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if not proxy:
        return None
    shown = _without_password(proxy)
    scheme = proxy.partition("://")[0].lower() if "://" in proxy else "http"
    where = f"{parts.scheme.upper()}_PROXY or ALL_PROXY"
    if scheme not in ("http", "https"):
        raise ClientError(
            f"{where} is {shown}, a proxy that this client cannot use: set {parts.scheme.upper()}_PROXY to an HTTP "
            f"proxy, or NO_PROXY={parts.hostname} to go without"
        )
    try:
        there = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if not there.hostname or there.port == 0:
            raise ValueError("no host")
        httpx.Proxy(there.geturl())
    except (ValueError, httpx.InvalidURL) as error:
        raise ClientError(f"{where} is {shown}, no address of a proxy: write it as http://host:port") from error
    return there.geturl()


def _without_password(proxy: str) -> str:
    return proxy.rpartition("@")[2] if "@" in proxy else proxy


def _certificates() -> ssl.SSLContext:
    """Trust what this machine trusts, and what the variables of the usual tools name besides."""
    context = ssl.create_default_context()
    for name in CA_VARIABLES:
        if not (path := os.environ.get(name)):
            continue
        try:
            context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})  # noqa: PTH112
        except OSError as error:  # ssl.SSLError is one
            why = "is no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise ClientError(f"{name}={path}: {why}. Set it to the CA certificates' file, or unset it") from error
    return context


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and what it was raised from, the outermost first: httpx keeps the system's own at the end."""
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _may_pass(error: Exception) -> bool:
    """Say whether another try may help: nothing listens yet, silence, a connection that broke off."""
    causes = _causes(error)
    if any(isinstance(one, ssl.SSLError | socket.gaierror | httpx.ProxyError | ValueError) for one in causes):
        return False
    return any(isinstance(one, ConnectionError | TimeoutError | httpx.TimeoutException) for one in causes) or (
        isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
    )


def _why(error: Exception) -> str:
    causes = _causes(error)
    for one in causes:
        if isinstance(one, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({one.verify_message}). In a company's network, set SSL_CERT_FILE to "
                "a file of the CA certificates that are trusted there"
            )
        if isinstance(one, ssl.SSLError):
            return f"it speaks no TLS that is understood here ({one.reason}): is it an http:// address?"
        if isinstance(one, socket.gaierror):
            return (
                f"no such host is known ({one.strerror}): is the address spelled right, does this network need a proxy?"
            )
        if isinstance(one, ConnectionRefusedError):
            return "Connection refused: nothing listens there"
    text = str(error)
    if isinstance(error, httpx.ProxyError) and "407" in text:
        return "the proxy wants credentials (407): put them into HTTPS_PROXY, as http://user:password@host:port"
    if any(isinstance(one, TimeoutError | httpx.TimeoutException) for one in causes):
        return text if "still sending" in text else f"no response within {SECONDS} s"
    if "without sending complete message body" in text:
        return "its response ends early"
    return next((str(one) for one in reversed(causes) if str(one)), type(error).__name__)
