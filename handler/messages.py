"""One HTTP request and one response, whoever sent the event."""

import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from handler.errors import ApiError

NOTHING: Mapping[str, str] = MappingProxyType({})
MODEL_PREFIX = "/v1/models/"  # an id stands behind it, slashes and all: `ViT-B-32/openai`
MODEL_PATH = f"{MODEL_PREFIX}{{model}}"

Inflate = Callable[[bytes, str, int], bytes]


def as_it_is(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return a body that nobody takes for compressed."""
    return body


class Request(NamedTuple):
    """One request. Header names are lower case; of a repeated header or parameter the last value counts."""

    method: str
    path: str
    headers: Mapping[str, str] = NOTHING
    query: Mapping[str, str] = NOTHING
    text: str = ""
    encoded: bool = False
    max_body_bytes: int = 0
    inflate: Inflate = as_it_is  # what undoes a content-encoding
    route: str = ""  # the path by the gateway's own route, which a custom domain's base path is no part of
    authorizer: Mapping[str, Any] = NOTHING  # what the gateway's authorizer says of the caller, as the gateway has it
    model: str = ""  # the id that stands in the path
    principal: str = ""  # the caller by name, where the deployment's own `authenticate` has said it

    def at(self, known: Collection[str], base_path: str, keyed: Collection[str] = ()) -> "Request":
        """Return the request at the path that is known: as it came, by the gateway's route, or below the base path.

        Paths in `keyed` are known below `/k/<key>` too, whatever the key: who stands in front has compared it.
        """
        for path in (self.path, self.route, without_prefix(self.path, base_path)):
            if path in known:
                return self._replace(path=path)
            if (below := without_key(path)) in keyed:
                return self._replace(path=below)
            if MODEL_PATH in known and path.startswith(MODEL_PREFIX) and path != MODEL_PREFIX:
                return self._replace(path=MODEL_PATH, model=path.removeprefix(MODEL_PREFIX))
        return self

    @property
    def media_type(self) -> str:
        """The content type without its parameters, lower case; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def body(self) -> bytes:
        """The body's bytes, as they were before a client compressed them.

        Raises ApiError body_too_large, invalid_base64 for one that is not what its flag says, invalid_gzip, or
        unsupported_media_type for another coding.

        Read when it is asked for, and not with the event: so that its error is answered as any other is.
        """
        body = self._sent
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding in ("", "identity"):
            return body
        return self.inflate(body, coding, self.max_body_bytes)

    @property
    def _sent(self) -> bytes:
        size = len(self.text) * 3 // 4 - 2 if self.encoded else len(self.text)
        if size > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        try:
            body = (
                binascii.a2b_base64(self.text, strict_mode=True)
                if self.encoded
                else self.text.encode("utf-8", "surrogatepass")
            )
        except ValueError as error:
            raise ApiError("invalid_base64", "the event says that its body is base64, but it is not") from error
        if len(body) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        return body

    @property
    def content(self) -> str | bytes:
        """The body as JSON is read from it: where that is ASCII, as photographs in base64 are, without two copies."""
        plain = "content-encoding" not in self.headers and not self.encoded
        if not plain or not self.text.isascii() or len(self.text) > self.max_body_bytes:
            return self.body
        return self.text


class Response(NamedTuple):
    """A status, a JSON body or a text of its own media type, and, where they matter, headers."""

    status: int
    body: Mapping[str, Any] | Sequence[Any] | str
    headers: Mapping[str, str] = NOTHING
    media_type: str = "application/json"


def too_large(max_body_bytes: int) -> ApiError:
    """The error for a body, or one item of it, that is over the limit."""
    return ApiError(
        "body_too_large",
        f"the body is larger than {max_body_bytes:,} bytes: send fewer items, or scale the images down",
    )


def without_prefix(path: str, prefix: str) -> str:
    """Drop whole segments from the front of a path."""
    return path[len(prefix) :] or "/" if prefix and (path == prefix or path.startswith(prefix + "/")) else path


def without_key(path: str) -> str:
    """Return what stands below `/k/<key>`; an empty text for any other path."""
    _, first, key, below = [*path.split("/", 3), "", "", "", ""][:4]
    return f"/{below}" if first == "k" and key and below else ""
