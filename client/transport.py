"""One HTTP exchange: through the proxy and with the certificates of this machine, bounded, and never redirected."""

import http.client
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from client.address import DEFAULT_PORTS, is_local
from client.errors import ClientError, ResponseError

SECONDS = 35  # of silence: the gateway gives up at 30
MAX_SECONDS = 120  # of one exchange: a server that sends a byte now and then
MAX_RESPONSE_BYTES = 64_000_000  # ten times what Lambda can send: any more is no response of the API
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")


@dataclass(frozen=True)
class Response:
    """What came back, whatever its status; the body without its content encoding."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _AsItCame(urllib.request.HTTPErrorProcessor):
    """Hand every response on as it came: no redirect is followed, so no credential and no image goes elsewhere."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


class Transport:
    """The way to one API. Raises ClientError where proxy or certificates cannot be used."""

    def __init__(self, url: str) -> None:
        self.proxies = _proxies(url)
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler(self.proxies), _AsItCame()]
        if url.startswith("https://"):
            handlers.append(urllib.request.HTTPSHandler(context=_certificates()))
        self._opener = urllib.request.build_opener(*handlers)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Send one request. Raises ResponseError, status 0, where no complete response came back."""
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - see client.address
        deadline = time.monotonic() + MAX_SECONDS
        try:
            with self._opener.open(request, timeout=SECONDS) as response:
                content = _read(response, deadline)
                return Response(response.status, response.headers, _decode(response.headers, content))
        except (urllib.error.URLError, http.client.HTTPException, OSError, zlib.error, ValueError) as error:
            through = f" through the proxy {_without_password(*self.proxies.values())}" if self.proxies else ""
            raise ResponseError(f"{url} does not answer{through}: {_why(error)}") from error


def _read(response: Any, deadline: float) -> bytes:
    parts, size = [], 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MAX_RESPONSE_BYTES:
            raise ValueError(f"it sent more than {MAX_RESPONSE_BYTES:,} bytes, which no response of the API has")
        if time.monotonic() > deadline:
            raise TimeoutError(f"it was still sending after {MAX_SECONDS} s")
    promised = response.headers.get("content-length", "")
    if promised.isdecimal() and size < int(promised):
        raise http.client.IncompleteRead(b"".join(parts), int(promised) - size)
    return b"".join(parts)


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


def _proxies(url: str) -> dict[str, str]:
    """Return the proxy of this address. What is local never goes through one: its key would travel unencrypted."""
    parts = urlsplit(url)
    with_port = f"{parts.hostname}:{parts.port or DEFAULT_PORTS[parts.scheme]}"  # as NO_PROXY may name it
    if is_local(parts.hostname or "") or urllib.request.proxy_bypass(with_port):
        return {}
    known = urllib.request.getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if not proxy:
        return {}
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
    except ValueError as error:
        raise ClientError(f"{where} is {shown}, no address of a proxy: write it as http://host:port") from error
    return {parts.scheme: there.geturl()}


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


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({reason.verify_message}). In a company's network, set SSL_CERT_FILE to a "
            "file of the CA certificates that are trusted there"
        )
    if isinstance(reason, ssl.SSLError):
        return f"it speaks no TLS that is understood here ({reason.reason}): is it an http:// address?"
    if isinstance(reason, TimeoutError):
        return str(reason) if "still sending" in str(reason) else f"no response within {SECONDS} s"
    if isinstance(reason, socket.gaierror):
        return f"no such host is known ({reason.strerror}): is the address spelt right, does this network need a proxy?"
    if isinstance(reason, http.client.IncompleteRead):
        return "its response ends early"
    if isinstance(reason, ConnectionRefusedError):
        return "Connection refused: nothing listens there"
    if "407" in str(reason):
        return "the proxy wants credentials (407): put them into HTTPS_PROXY, as http://user:password@host:port"
    return str(reason) or type(reason).__name__
