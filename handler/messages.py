"""One HTTP request and one response, the same for every kind of event."""

import binascii
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from handler.errors import ApiError

NOTHING: Mapping[str, str] = MappingProxyType({})
LONG_BASE64 = 50_000  # characters: below, importing pybase64 (2 ms, once) costs more than it soon saves
MANY_VECTORS = 16  # in one response: for fewer, importing orjson (2 ms, once) costs more than it soon saves
MODEL_PREFIX = "/v1/models/"  # followed by a model's id, which may contain slashes: `ViT-B-32/openai`
MODEL_PATH = f"{MODEL_PREFIX}{{model}}"

Inflate = Callable[[bytes, str, int], bytes]


def no_inflate(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return the body unchanged: for requests that cannot be compressed."""
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
    inflate: Inflate = no_inflate  # decompresses a body that has a content-encoding
    route: str = ""  # the path by the gateway's own route: without the base path of a custom domain
    authorizer: Mapping[str, Any] = NOTHING  # the result of the gateway's authorizer, unchanged
    model: str = ""  # the model's id, if the path has one
    principal: str = ""  # the caller's name, from the deployment's own `authenticate`

    def at(self, known: Collection[str], base_path: str, keyed: Collection[str] = ()) -> "Request":
        """Return the request with the first of its paths that is `known`: as sent, the route's, or without `base_path`.

        Paths in `keyed` are also found below `/k/<key>`. The key is not checked here: the authorizer has compared it.
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
        """The body's bytes, decompressed.

        Raises ApiError body_too_large, invalid_base64 if the body is not the base64 that the event announces,
        invalid_gzip, or unsupported_media_type for another content-encoding. The body is decoded here and not when the
        event is parsed, so that these errors become responses as all others do.
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
            body = decode_base64(self.text) if self.encoded else self.text.encode("utf-8", "surrogatepass")
        except ValueError as error:
            raise ApiError("invalid_base64", "the event says that its body is base64, but it is not") from error
        if len(body) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        return body

    @property
    def content(self) -> str | bytes:
        """The body for the JSON parser: as text if it is plain ASCII, as base64 images are, which saves two copies."""
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
    """Return the error for a body, or an item of it, that is over the limit."""
    return ApiError(
        "body_too_large",
        f"the body is larger than {max_body_bytes:,} bytes: send fewer items, or scale the images down",
    )


def without_prefix(path: str, prefix: str) -> str:
    """Remove a prefix of whole segments from a path; a path without it is returned unchanged."""
    return path[len(prefix) :] or "/" if prefix and (path == prefix or path.startswith(prefix + "/")) else path


def without_key(path: str) -> str:
    """Return the rest of a path below `/k/<key>`; an empty string for any other path."""
    _, first, key, below = [*path.split("/", 3), "", "", "", ""][:4]
    return f"/{below}" if first == "k" and key and below else ""


def decode_base64(text: str) -> bytes:
    """Decode base64 without a character or padding that does not belong there. Raises ValueError.

    A long text is decoded 40 times as fast by pybase64, which uses the processor's vector instructions: 0.3 ms for an
    image of 3 MB. What it refuses is asked of binascii, whose verdict and message count.
    """
    if len(text) >= LONG_BASE64:
        import pybase64  # late: see LONG_BASE64

        try:
            return pybase64.b64decode(text, validate=True)
        except ValueError:
            pass  # which of its characters is wrong, binascii says
    return binascii.a2b_base64(text, strict_mode=True)


def encode_json(body: Any, vectors: int = 0) -> str:
    """Write a response's body as JSON. Raises ValueError for a number that JSON does not have.

    A response of many vectors, whose numbers are finite, is written ten times as fast by orjson: 0.6 ms for 32 of 512
    numbers. It writes other characters than ASCII as they are. What it refuses, half a surrogate pair, json escapes.
    """
    if vectors >= MANY_VECTORS:
        import orjson  # late: see MANY_VECTORS

        try:
            return orjson.dumps(body).decode()
        except TypeError:
            pass  # json tells a type that it does not know, too
    return json.dumps(body, allow_nan=False, separators=(",", ":"))
