"""Turn the address that a user gives into the base URL of the requests, or refuse it with the fix."""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, quote, urlsplit

from openclip_lambda.errors import ClientError

# Paths after the base URL, as in addresses that users copy from documents, other clients and browsers.
ENDINGS = ("/v1/embeddings", "/v1/classify", "/v1/similarity", "/v1/models", "/v1", "/health", "/docs", "/openapi.json")
DEFAULT_PORTS = {"http": 80, "https": 443}
WANTED = "give the stack's output Url, as https://abc123.execute-api.eu-west-1.amazonaws.com"


def base_url(given: str, insecure_http: bool = False) -> str:
    """Return scheme, host, port and base path, without a slash at the end.

    Raises ClientError for what is no address, and for plain http to a host that is not this machine, unless
    `insecure_http`. No message repeats a user name, a password or a query: they may be secrets.
    """
    text = given.strip().strip("'\"<>").strip()
    if not text:
        raise ClientError(f"the address is empty: {WANTED}")
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        raise ClientError(f"the address has white space, a control character or a backslash in it: {WANTED}")
    parts = _split(text)
    host = _host(parts)
    if parts.scheme == "http" and not insecure_http and not is_local(parts.hostname or ""):
        raise ClientError(
            f"http://{host} would send credentials and images unencrypted: give it as https://{host}, or add "
            "--insecure-http if that is meant"
        )
    port = _port(parts)
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{_path(parts.path)}"


def is_local(host: str) -> bool:
    """Say whether a host name or an address (without brackets) is this machine's loopback."""
    name = host.rstrip(".").lower()
    if name.endswith(".localhost"):  # loopback by RFC 6761, but a resolver (as of a captive portal) may not follow it
        try:
            found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
        except OSError:
            return True
        return all(_is_loopback(address) for address in found)
    return name == "localhost" or _is_loopback(name)


def _is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _split(text: str) -> SplitResult:
    try:
        if "://" not in text.partition("?")[0]:
            if re.match(r"https?:(?!\d+(/|$))", text, re.IGNORECASE):
                raise ClientError(f"the address lacks the slashes after its scheme: {WANTED}")
            bare = text.lstrip("/")
            local = is_local(urlsplit(f"//{bare}").hostname or "")
            text = f"{'http' if local else 'https'}://{bare}"
        parts = urlsplit(text)
    except ValueError as error:  # brackets of an IPv6 address
        raise ClientError(f"the address cannot be read ({error}): {WANTED}") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise ClientError(f"the address begins with {parts.scheme}://, which is no web address: {WANTED}")
    if "@" in parts.netloc:
        raise ClientError("the address holds a user name or a password: leave it out, and give --api-key or --sigv4")
    if parts.query:
        raise ClientError(f"the address has a query: leave out the ? of {parts.netloc} and what follows it")
    return parts


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not parts.netloc.startswith("[") and parts.netloc.count(":") > 1:
        raise ClientError(f"{parts.netloc}: an IPv6 address stands in brackets, as http://[::1]:8080")
    if ":" in host:
        try:
            return f"[{ipaddress.ip_address(host)}]"
        except ValueError as error:
            raise ClientError(f"{parts.netloc} is no IPv6 address: {error}") from error
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ClientError(f"{host!r} is no host name: {WANTED}") from error
    if not re.fullmatch(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", name):
        raise ClientError(f"{parts.netloc!r} is no host name: {WANTED}")
    return name


def _port(parts: SplitResult) -> int | None:
    """Return the port; None for the scheme's default, which an AWS signature does not include."""
    try:
        port = parts.port
    except ValueError as error:
        raise ClientError(f"{parts.netloc}: a port is a number from 1 to 65535") from error
    if port == 0:
        raise ClientError(f"{parts.netloc}: a port is a number from 1 to 65535")
    return None if port == DEFAULT_PORTS[parts.scheme] else port


def _path(path: str) -> str:
    path = re.sub("/+", "/", path).rstrip("/")
    while ending := next((ending for ending in ENDINGS if path.lower().endswith(ending)), None):
        path = path[: -len(ending)].rstrip("/")
    return quote(path, safe="/%:@!$&'()*+,;=~")
