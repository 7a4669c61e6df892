"""Every error of the handler: those that prevent its start, and the table of all error codes in responses."""

from collections.abc import Mapping, Sequence
from reprlib import Repr
from typing import Any

# code -> HTTP status. Codes are part of the API: clients branch on them, so a row may be added but never renamed.
STATUS = {
    # the body
    "invalid_json": 400,
    "invalid_form": 400,
    "invalid_gzip": 400,
    "invalid_type": 400,
    "invalid_value": 400,
    "unknown_field": 400,
    "unsupported_media_type": 415,
    "body_too_large": 413,
    # the input
    "missing_input": 400,
    "empty_input": 400,
    "too_many_items": 400,
    "text_too_long": 400,
    "text_too_complex": 400,
    "token_ids_not_supported": 400,
    "dimensions_not_supported": 400,
    "answer_too_large": 413,
    "model_not_found": 404,
    # the search
    "invalid_vector": 400,
    "query_cancels_out": 400,
    "urls_not_enabled": 400,
    "index_not_found": 404,
    "index_of_another_model": 409,
    "index_unavailable": 503,
    # where an image comes from
    "invalid_base64": 400,
    "url_not_supported": 400,
    "s3_not_enabled": 400,
    "bucket_not_allowed": 403,
    "object_not_found": 404,
    "object_archived": 403,
    "object_not_readable": 403,
    "object_too_large": 413,
    "s3_unavailable": 503,
    # the image itself
    "not_an_image": 400,
    "truncated_image": 400,
    "image_too_large": 413,
    "image_too_narrow": 400,
    "image_too_complex": 400,
    "unsupported_image_format": 415,
    # the route
    "invalid_event": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    # code of the deployment's own (handler_ext)
    "not_authenticated": 401,
    "not_permitted": 403,
    "extension_failed": 500,
    # ours
    "internal_error": 500,
    "not_ready": 503,
}

MOST_QUOTED = 60  # characters of a value, in a message
BRIEF = Repr()
BRIEF.maxstring = BRIEF.maxlong = BRIEF.maxother = MOST_QUOTED


class StartError(Exception):
    """The handler cannot start as it was deployed. The message says what, where, and the fix."""


class SettingsError(StartError):
    """An `OPENCLIP_` variable has an invalid value."""


class OfflineError(StartError):
    """A library froze its network settings before `handler.offline` could set them."""


class CacheError(StartError):
    """The bundle's Hugging Face caches cannot be linked or copied into the writable directory."""


class BundleError(StartError):
    """The bundle is missing, damaged, or not what this handler reads."""


class EventSourceError(Exception):
    """A queue, a topic or a bucket calls the function: the invocation has to fail, or its event would be lost."""


class ApiError(Exception):
    """A request that is answered with an error. `code` is a row of STATUS; `param` names the field, as `input[3]`."""

    def __init__(
        self, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The HTTP status that belongs to the code."""
        return STATUS[self.code]

    def body(self) -> dict[str, Any]:
        """Return the response's body, in the shape of OpenAI's API."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class ModelNotFoundError(ApiError):
    """The bundle has no model of that id."""

    def __init__(self, model_id: str, known: Sequence[str]) -> None:
        known_ids = ", ".join(known)
        super().__init__("model_not_found", f"no model {shorten(model_id)}: this bundle has {known_ids}", "model")


class TextError(ApiError):
    """A text that is too long or too expensive to clean. `text` is that text; the caller finds its place by it."""

    text: str | None = None


class ImageError(ApiError):
    """An image that cannot be embedded. The caller adds its place in the input as `param`."""


def counted(number: int, thing: str) -> str:
    """Write how many of a thing there are: `1 shard`, `2 shards`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def shorten(value: object) -> str:
    """Quote a value from a request for a message: enough to recognize it, too little to leak or flood.

    No more of the value is written than is quoted: a request of 6 MB may be one list, name or text.
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        text = repr(value[: MOST_QUOTED + 1])
        return text if len(text) <= MOST_QUOTED else f"{text[:45]}... ({len(value)} characters)"
    text = BRIEF.repr(value)
    return text if len(text) <= MOST_QUOTED else f"{text[:45]}..."
