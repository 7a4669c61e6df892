"""Explain why the hub, a mirror, a proxy or the network did not deliver, and what to do about it."""

import json
import re
import ssl
from datetime import UTC, datetime
from typing import Any
from urllib.request import getproxies

from layer.errors import FetchError, UnauthorizedError, UnreachableError
from layer.files.foreign import POINTER, is_page
from layer.network import environment

_TITLE = re.compile(rb"(?is)<title[^>]*>([^<]{1,200})")
FINE_GRAINED = "a fine-grained token needs the right to read this repository, and gated ones, on " + environment.TOKENS


def refused(response: Any, body: bytes, where: str) -> FetchError:
    """Return the error for a response of status 400 or more."""
    status, code = response.status_code, response.headers.get("x-error-code", "")
    request = _asked(response)
    sent = "authorization" in request.headers
    server_text = _server_message(response, body)
    details = f"HTTP {status}: {server_text}" if server_text else f"HTTP {status}"
    of_hub = status == 407 or environment.is_of_hub(str(request.url))
    reason = _reason(status, code, sent, response) if of_hub else _elsewhere(status)
    kind = UnauthorizedError if status == 401 else FetchError
    return kind(f"{where} {reason} ({details})")


def _asked(response: Any) -> Any:
    """Return the request that was sent before any redirect."""
    return (response.history or [response])[0].request


def _elsewhere(status: int) -> str:
    """Say what a refusal means of a checkpoint's address outside of the hub."""
    if status in (401, 403):
        return (
            "may not be read: its server wants a login, or the address has expired. HF_TOKEN is sent to the hub alone: "
            "download the file, and write its path as `checkpoint`"
        )
    if status in (404, 410):
        return "is not there: check the address"
    return "was refused by its server: try again later"


def _reason(status: int, code: str, sent: bool, response: Any) -> str:
    source = environment.token_source()
    meanings = {
        "GatedRepo": _gated(sent, source),
        "RevisionNotFound": "has no such revision: check `revision` in models.toml",
        "EntryNotFound": "is gone from the repository: run the build again",
        "RepoNotFound": _not_there(sent, source),
    }
    if code in meanings:
        return meanings[code]
    if status == 401:
        return _unauthorised(sent, source)
    if status == 403:
        return f"may not be read: {_rights(sent, source)}"
    if status == 407:
        return _PROXY_LOGIN
    if status in (404, 410):
        return (
            f"is not there: check the name, and that {environment.shown_endpoint()} (HF_ENDPOINT) is a hub's address, "
            f"not that of a web page; {_rights(sent, source)}"
        )
    if status == 429:
        wait = response.headers.get("retry-after", "")
        after = f"in {wait} seconds" if wait.isdigit() else "later"
        return f"was refused, since the hub is asked too often: try again {after}; with HF_TOKEN it allows more"
    if status >= 500:
        return "was refused by the hub: try again later"
    return f"was refused by {environment.shown_endpoint()}: check the name, and HF_ENDPOINT if it is a mirror"


_PROXY_LOGIN = (
    "was refused by the proxy, which asks for a user and a password: set HTTPS_PROXY=http://user:password@host:port"
)


def _gated(sent: bool, source: str) -> str:
    if sent:
        return f"is gated: accept its terms on its page on the hub, as the user of {source}; {FINE_GRAINED}"
    return "is gated: accept its terms on its page on the hub, then set HF_TOKEN"


def _not_there(sent: bool, source: str) -> str:
    if sent:
        return f"is not there, or is private: check the name, and whether {source} may read it; {FINE_GRAINED}"
    return "is not there, or is private: check the name, or set HF_TOKEN"


def _unauthorised(sent: bool, source: str) -> str:
    if sent:
        return (
            f"was refused because of the token: {source} is not valid, or has expired; make a new one on "
            f"{environment.TOKENS}, or unset it: public repositories need none"
        )
    return f"asks for a token: {_rights(sent, source)}"


def _rights(sent: bool, source: str) -> str:
    if sent:
        return f"check what {source} may read; {FINE_GRAINED}"
    if environment.token() and not environment.sends_token(environment.endpoint()):
        return "HF_TOKEN was not sent, since HF_ENDPOINT is plain http:// to another machine: use https://"
    return "if it is private or gated, set HF_TOKEN"


def _server_message(response: Any, body: bytes) -> str:
    """Return the reason that the server gives, as one printable line."""
    text = response.headers.get("x-error-message", "")
    if not text:
        try:
            answer = json.loads(body)
            text = answer.get("error", "") if isinstance(answer, dict) else ""
        except (ValueError, RecursionError):
            text = ""
    return one_line(text if isinstance(text, str) else "")


def one_line(text: str, limit: int = 200) -> str:
    """Return a server's text for a message: one line, without control characters."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else f"{flat[:limit]}..."


def unexpected(response: Any, beginning: bytes, where: str, wanted: str) -> FetchError:
    """Return the error for a response of status 200 with other contents than asked for, by its beginning."""
    if beginning.startswith(POINTER):
        return FetchError(
            f"{where} is a Git LFS pointer in place of the file: the mirror was copied without `git lfs pull`; tell "
            "whoever runs it, or unset HF_ENDPOINT"
        )
    if is_page(beginning) or _is_html(response):
        title = _TITLE.search(beginning)
        named = f" ({one_line(title[1].decode('utf-8', 'replace'), 60)!r})" if title else ""
        host = environment.without_password(str(response.url))
        return FetchError(f"{where}: {host} answers with a web page{named} in place of {wanted}. {_page(response)}")
    return FetchError(f"{where}: the response is not {wanted}. Check HF_ENDPOINT, or try again later")


def _page(response: Any) -> str:
    asked = str(_asked(response).url)
    if "/blob/" in asked or not environment.is_of_hub(asked):
        return (
            "Name the address of the file itself, and not of a page about it: on the hub and on GitHub one has /blob/, "
            "and the file /resolve/ or /raw/. A network's login page answers so, too"
        )
    return "Is it a network's login page? Sign in by a browser; else check HF_ENDPOINT, which has to be a hub's address"


def is_other(response: Any, beginning: bytes, typed: bool) -> bool:
    """Tell whether a response is a web page, if `typed` also by its content type, or a Git LFS pointer."""
    return beginning.startswith(POINTER) or is_page(beginning) or (typed and _is_html(response))


def _is_html(response: Any) -> bool:
    return "text/html" in response.headers.get("content-type", "").lower()


def unreachable(error: Exception, url: str, where: str) -> UnreachableError:
    """Return the error for a request that got no response, or only a part of one."""
    host = environment.without_password(url)
    text = one_line(str(error) or type(error).__name__)
    kind = type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text or isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return UnreachableError(f"{where}: {_certificate(text)} ({text})")
    if kind == "ProxyError":
        advice = _PROXY_LOGIN if "407" in text else f"cannot be reached through the proxy: {_proxies()}"
        return UnreachableError(f"{where} {advice} ({text})")
    if kind == "TooManyRedirects":
        return UnreachableError(f"{where}: {host} redirects the request in a circle. Check HF_ENDPOINT ({text})")
    if kind in ("UnsupportedProtocol", "LocalProtocolError", "InvalidURL"):
        return UnreachableError(
            f"{where}: {host} answers with an address that cannot be followed. Check HF_ENDPOINT ({text})"
        )
    if kind == "ConnectTimeout":
        return UnreachableError(
            f"{where} cannot be reached: no connection to {host} within seconds. {_check_network()}"
        )
    if kind == "ConnectError":
        return UnreachableError(f"{where} cannot be reached ({text}). {_check_network()}")
    return UnreachableError(
        f"{where} cannot be reached, or the connection broke: run the build again, it goes on where it stopped ({text})"
    )


def _check_network() -> str:
    return f"A proxy is set: {_proxies()}. {environment.UNREACHABLE}" if _used_proxies() else environment.UNREACHABLE


def _used_proxies() -> dict[str, str]:
    return {name: environment.without_password(url) for name, url in getproxies().items() if name != "no"}


def _proxies() -> str:
    used = _used_proxies()
    listed = ", ".join(f"{name.upper()}_PROXY={url}" for name, url in used.items())
    return f"check {listed or 'HTTPS_PROXY'}, or unset it; NO_PROXY names the hosts that need none"


def _certificate(text: str) -> str:
    if "expired" in text or "not yet valid" in text:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"its certificate is not valid now. Is the clock right? Here it is {now}"
    if "ostname mismatch" in text or "IP address mismatch" in text:
        return "its certificate is of another host. Check HF_ENDPOINT; a network's login page answers so, too"
    return (
        "its certificate is not trusted here. If a company's proxy or mirror has a CA of its own, set "
        "SSL_CERT_FILE=/path/to/ca.pem (PEM, with the public CAs in it if they are needed too)"
    )
