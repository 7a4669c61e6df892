"""Keep pages of other sites away from a server on this machine that asks for no key.

A browser on this machine reaches the server for whatever page is open. It keeps the responses from such a page, but not

- if the page's own name was made to lead to 127.0.0.1 (DNS rebinding): then Host has that name;
- the request itself: a POST without a content type, of which the page reads nothing, may change an index. Origin names
  the page's site (Fetch, "Origin header").
"""

from collections.abc import Sequence
from email.message import Message
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

SAFE = ("GET", "HEAD", "OPTIONS")  # change nothing


class OtherSites(NamedTuple):
    """Who may ask a server that listens at `host`: `origins` too, as OPENCLIP_CORS_ORIGINS allows them."""

    host: str
    origins: Sequence[str]

    def refusal(self, method: str, headers: Message) -> str | None:
        """Return why a request is refused, and the fix; None if it is not."""
        name = _host_name(f"//{headers.get('host', self.host)}")
        if not (_is_address(name) or is_loopback(name) or name == self.host.lower()):
            return f"the name {name!r} is not this machine's: ask http://localhost, or start the server with --api-key"
        origin = headers.get("origin")
        if origin is None or method in SAFE or {"*", origin} & set(self.origins):
            return None
        if is_loopback(_host_name(origin)) or origin.lower().endswith(f"://{headers.get('host', '').lower()}"):
            return None
        return f"a page of {origin} may not change anything here: name it in OPENCLIP_CORS_ORIGINS if it may"


def is_loopback(name: str) -> bool:
    """Tell whether a host's name or address leads to this machine, whatever DNS says (RFC 6761, section 6.3)."""
    return name == "localhost" or name.endswith(".localhost") or (_is_address(name) and ip_address(name).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
