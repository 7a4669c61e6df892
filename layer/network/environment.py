"""How this machine reaches the hub: address, proxies, certificates and token, from the environment.

The variables are checked here, because libraries report wrong values late or not at all.
"""

import os
import re
import ssl
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from layer.errors import FetchError, UnreachableError

HUB = "https://huggingface.co"
TOKENS = "https://huggingface.co/settings/tokens"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
CA_FILES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # other tools' names for SSL_CERT_FILE, in their order
LOCAL = ("localhost", "127.0.0.1", "::1")
CONNECT_SECONDS = 3.0  # until a name is resolved, and until a connection is there
READ_SECONDS = 10.0  # between two parts of a response
MAX_REDIRECTS = 10

_client: Any = None
_making = threading.Lock()


def endpoint() -> str:
    """Return the hub's address: HF_ENDPOINT, else the public hub's. Raises FetchError where it is not an address."""
    given = os.environ.get("HF_ENDPOINT", "").strip() or HUB
    if "://" not in given:
        raise FetchError(f"HF_ENDPOINT = {given!r} has no scheme: set HF_ENDPOINT=https://{given.strip('/')}")
    try:
        parts = urlsplit(given)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or not given.isprintable() or " " in given:
        raise FetchError(
            f"HF_ENDPOINT = {without_password(given)!r} is not an address of a hub: set it as "
            f"HF_ENDPOINT=https://hub.example.com, with a path if the mirror has one, or unset it for {HUB}"
        )
    return given.rstrip("/")


def shown_endpoint() -> str:
    """Return the hub's address as it may be printed: without a password."""
    return without_password(endpoint())


def without_password(url: str) -> str:
    """Return a URL without its user, password and query, for a message."""
    return re.sub(r"^([^/?#]*//|)[^/?#]*@", r"\1", re.split(r"[?#]", url, maxsplit=1)[0])


def token() -> str | None:
    """Return the token of HF_TOKEN, or the one that `hf auth login` saved. Raises FetchError for an invalid token."""
    from huggingface_hub import get_token

    found: str | None = get_token()
    if found and not all("!" <= char <= "~" for char in found):
        raise FetchError(
            f"{token_source()} is not a token: it has white space or other characters inside it; copy it again from "
            f"{TOKENS}, on one line, without quotes"
        )
    if found and found[0] == found[-1] and found[0] in "\"'":
        raise FetchError(
            f"{token_source()} is not a token: it is in quotes, as Docker's --env-file keeps them; drop them"
        )
    return found


def token_source() -> str:
    """Say where the token comes from."""
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    return next((name for name in names if os.environ.get(name, "").strip()), "HF_TOKEN (saved by `hf auth login`)")


def token_headers(url: str) -> dict[str, str]:
    """Return the header with the token; empty if there is no token, or if it would be sent unencrypted."""
    found = token()
    if not found or not sends_token(url):
        return {}
    return {"authorization": f"Bearer {found}"}


def is_of_hub(url: str) -> bool:
    """Tell whether a URL is of the hub: a checkpoint may have an address anywhere, and needs no hub then."""
    try:
        hub = endpoint()
        return _origin(url) == _origin(hub) and urlsplit(url).path.startswith(f"{urlsplit(hub).path}/")
    except (FetchError, ValueError):  # no address of a hub; a port that is none
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def sends_token(url: str) -> bool:
    """Tell whether a token may be sent to a URL: encrypted, or to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in LOCAL


def client() -> Any:
    """Return the one httpx2 client of this process. Raises FetchError naming a variable that cannot be used."""
    global _client
    check_offline()
    with _making:
        if _client is None:
            _client = _new_client()
    return _client


def _new_client() -> Any:
    import httpx2  # huggingface_hub's own

    _check_proxies(httpx2)
    verify = _certificates()
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None)
    headers = {"accept-encoding": "identity", "user-agent": "openclip-lambda"}
    return httpx2.Client(
        verify=verify, timeout=timeout, headers=headers, follow_redirects=True, max_redirects=MAX_REDIRECTS
    )


def check_offline() -> None:
    """Raise UnreachableError if the environment sets the libraries offline."""
    if name := offline():
        raise UnreachableError(
            f"{name}={os.environ[name]} is set, so the hub is not asked: name a prepared cache by `--from "
            "<directory>`, or unset it where there is a network"
        )


def offline() -> str | None:
    """Return the variable that sets the libraries offline; None if they may ask the hub."""
    told = (name for name in OFFLINE if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"))
    return next(told, None)


def _check_proxies(httpx2: Any) -> None:
    if "*" in getproxies().get("no", "").split(","):
        return
    for name in (*PROXIES, *(name.lower() for name in PROXIES)):
        value = os.environ.get(name, "").strip()
        if not value:
            continue
        if value.startswith("socks://"):  # as GNOME's settings write it
            value = os.environ[name] = value.replace("socks://", "socks5://", 1)
        try:
            proxy = httpx2.Proxy(value if "://" in value else f"http://{value}")
            scheme = str(proxy.url.scheme)
            if not proxy.url.host or (proxy.url.port or 0) > 65535:
                raise ValueError("it names no host and port")
        except Exception as error:
            raise FetchError(
                f"{name} = {without_password(value)!r} is not a proxy that can be used ({error}): set it as "
                f"{name}=http://host:port or {name}=socks5://host:port, or unset it"
            ) from error
        if scheme.startswith("socks") and find_spec("socksio") is None:
            raise FetchError(
                f"{name} = {without_password(value)!r} is a SOCKS proxy, which takes one package more: "
                f"pip install socksio (it is in requirements.txt), or set {name} to an HTTP proxy, or unset it"
            )


def _certificates() -> "ssl.SSLContext | bool":
    """Return the certificates to trust: those of SSL_CERT_FILE or of other tools' variables; True: the default ones."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", *CA_FILES):
        place = os.environ.get(name, "")
        if not place:
            continue
        try:
            if Path(place).is_dir():
                context = ssl.create_default_context(capath=place)
            else:
                context = ssl.create_default_context(cafile=place)
        except (OSError, ValueError) as error:
            raise FetchError(
                f"{name} = {place!r} holds no certificates that can be read ({error}): name a PEM file, or unset it"
            ) from error
        if name in CA_FILES:
            print(f"note: certificates are checked against {name}, since SSL_CERT_FILE is not set", file=sys.stderr)
        return context
    return True


def check_name(url: str) -> None:
    """Raise FetchError if the name of a URL's host is not resolved within seconds: no network, or a wrong name.

    Without this, a missing resolver would take much longer than a missing host. With a proxy, the proxy resolves names.
    """
    check_offline()
    parts = urlsplit(url)
    host = parts.hostname or ""
    if (getproxies().get(parts.scheme) or getproxies().get("all")) and not proxy_bypass(host):
        return
    import socket

    outcome: list[OSError | None] = []

    def resolve() -> None:
        try:
            socket.getaddrinfo(host, parts.port or parts.scheme, type=socket.SOCK_STREAM)
            outcome.append(None)
        except (OSError, UnicodeError) as error:
            outcome.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    problem = outcome[0] if outcome else OSError(f"no answer within {CONNECT_SECONDS:.0f} s")
    if problem:
        raise UnreachableError(
            f"{without_password(url)} cannot be reached: {host} is not a name that this machine can resolve "
            f"({problem.strerror or problem}). {UNREACHABLE}"
        )


UNREACHABLE = (
    "Check the network; behind a proxy set HTTPS_PROXY; for a mirror of the hub set HF_ENDPOINT; the embedded demo "
    "model needs no network"
)
