"""Keep pages of other sites away from a server on this machine that asks for no key.

A browser on this machine sends requests here for whatever page is open. It does not let a page of another site read the
responses. Two things remain:

- The page's own name can be made to lead to 127.0.0.1 (DNS rebinding), so that the page is of this site. Host has that
  name.
- A POST without a content type is sent, and may change an index, although the page reads nothing of the response.
  Origin names the page's site (Fetch, "Origin header").
"""

from collections.abc import Sequence
from email.message import Message
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

SAFE = ("GET", "HEAD", "OPTIONS")  # change nothing
LOOPBACK = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")  # of /etc/hosts
# Nobody can register a name below these (RFC 6761, ICANN). host.docker.internal leads a container to this machine.
PRIVATE = (".localhost", ".internal")


class OtherSites(NamedTuple):
    """Who may ask a server that listens at `host`: `origins` too, as OPENCLIP_CORS_ORIGINS allows them."""

    host: str
    origins: Sequence[str]

    def refusal(self, method: str, headers: Message) -> str | None:
        """Return why a request is refused, and the fix; None if it is not."""
        host = headers.get("host", "").lower()
        name = _host_name(f"//{host}")
        if host and not (_is_address(name) or _is_of_this_machine(name) or name == self.host.lower()):
            return f"the name {name!r} is not this machine's: ask http://localhost, or start the server with --api-key"
        origin = headers.get("origin", "").lower()
        if not origin or method in SAFE or {"*", origin} & {one.lower() for one in self.origins}:
            return None
        name = _host_name(origin)
        if _is_of_this_machine(name) or is_loopback(name) or origin.endswith(f"://{host}"):
            return None
        fix = "name it in OPENCLIP_CORS_ORIGINS" if origin.startswith("http") else "start the server with --api-key"
        return f"a page of {origin} may not change anything here: {fix} if it may"


def is_loopback(address: str) -> bool:
    """Tell whether an address leads to this machine alone."""
    return _is_address(address) and ip_address(address).is_loopback


def _is_of_this_machine(name: str) -> bool:
    name = name.removesuffix(".")
    return name in LOOPBACK or name.endswith(PRIVATE)


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
