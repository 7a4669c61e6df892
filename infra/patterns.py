"""The patterns of settings that are texts, each with a description in words for the error message."""

import re

from infra.source_prefix import BUCKET

STACK = r"^[A-Za-z][A-Za-z0-9-]{0,100}$"
PREFIX = r"^[a-z0-9][a-z0-9-]{0,60}$"
TOPIC = r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
# As a browser writes one (RFC 6454, "ASCII serialization of an origin"), or it would never match: in small letters of
# ASCII, and without path, slash at its end or the scheme's own port (`check_origin`).
# An asterisk is for all, or for all of a scheme: API Gateway refuses it within a name.
ORIGIN = r"^(\*|https?://(\*|([a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(:[0-9]+)?))$"
ISSUER = r"^https://[^/?#\s]+(/[^?#\s]*)?$"

WORDS = {
    STACK: "a letter, then letters, digits and hyphens, as in openclip-photos",
    PREFIX: "small letters, digits and hyphens, as in photos-",
    TOPIC: "the ARN of an SNS topic, as in arn:aws:sns:eu-west-1:123456789012:alarms, and of type standard: a FIFO "
    "topic wants a message group, which an alarm does not have, and sends no mail",
    ORIGIN: "an origin, as in https://app.example: small letters, no path, no slash at its end, no *; or *, https://*. "
    "A name in other letters is written as browsers send it, as in https://xn--mnchen-3ya.example",
    ISSUER: "an address that begins with https://, without ? and #",
    BUCKET: "a bucket's name alone, as in my-photos: no s3://, no path",
}

DISCOVERY = "/.well-known/"  # API Gateway adds it to the issuer, and asks that address when it makes an authorizer
PORTS = {"http": 80, "https": 443}  # that a browser leaves out
MAX_PORT = 65_535


def check_origin(value: str) -> str:
    """Return an origin that matches ORIGIN. Raises ValueError for one whose port no browser would send."""
    port = re.search(r":([0-9]+)$", value)
    if not port:
        return value
    scheme = value.partition(":")[0]
    if port[1] == str(PORTS[scheme]):
        raise ValueError(f"browsers leave out the port {port[1]} of {scheme}: write {value[: port.start()]}")
    if port[1].startswith("0") or int(port[1]) > MAX_PORT:
        raise ValueError(f"{port[1]} is not a port: write one of 1 to {MAX_PORT} without zeros before it, or none")
    return value


def check_issuer(value: str) -> str:
    """Return an address that matches ISSUER. Raises ValueError for that of an issuer's own description."""
    issuer, found, _ = value.partition(DISCOVERY)
    if found:
        raise ValueError(f"API Gateway adds {DISCOVERY}openid-configuration itself: write {issuer}")
    return value
