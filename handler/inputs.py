"""The `input` of a request as a flat list of texts and pictures, each knowing its place for an error to name it."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from handler.errors import ApiError, shorten
from handler.events import too_large
from handler.fields import check_object, wrong_type
from handler.settings import Settings

MODALITIES = ("text", "image")
MAX_TEXT_CHARACTERS = 10_000  # models read the first few hundred; CLIP's tokenizer takes seconds for one longer word


@dataclass(frozen=True)
class Item:
    """One thing to embed: a text, or the bytes of a picture. `param` is its place, as `input[3]`."""

    value: str | bytes
    param: str | None


def parse_input(body: Any, modality: str | None, settings: Settings) -> list[Item]:
    """Read `input`: a string, an object with `text` or `image`, or a list of these.

    `modality` says what plain strings are; None leaves that to each string. Raises ApiError.
    """
    if "input" not in body:
        raise ApiError("missing_input", "send `input`: a string, or a list of strings", "input")
    value = body["input"]
    if not isinstance(value, list):
        return [_item(value, "input", modality, settings)]
    if not value:
        raise ApiError("empty_input", "`input` is an empty list: send at least one item", "input")
    _refuse_token_ids(value[0])
    if len(value) > settings.max_items:
        raise ApiError("too_many_items", f"{len(value):,} items: send at most {settings.max_items:,} at once", "input")
    return [_item(item, f"input[{index}]", modality, settings) for index, item in enumerate(value)]


def _item(value: Any, param: str, modality: str | None, settings: Settings) -> Item:
    if isinstance(value, str):
        is_picture = modality == "image" or (not modality and value[:11].lower() == "data:image/")
        return Item(_picture(value, param, settings) if is_picture else _text(value, param), param)
    if not isinstance(value, dict):
        raise wrong_type(value, 'a string, {"text": ...} or {"image": ...}', param)
    fields = check_object(value, MODALITIES, param)
    if len(fields) != 1:
        raise ApiError("invalid_value", f"{param} must have `text` or `image`, one of the two", param)
    [(kind, content)] = fields.items()
    if not isinstance(content, str):
        raise wrong_type(content, "a string", f"{param}.{kind}")
    return Item(_picture(content, param, settings) if kind == "image" else _text(content, param), param)


def _refuse_token_ids(first: Any) -> None:
    if type(first) is int or isinstance(first, list):
        raise ApiError(
            "token_ids_not_supported",
            "`input` holds token ids of another model's tokenizer: send strings. "
            "In LangChain's OpenAIEmbeddings, set check_embedding_ctx_length=False",
            "input",
        )


def _text(value: str, param: str) -> str:
    if not value:
        raise ApiError("empty_input", f"{param} is an empty string", param)
    if len(value) > MAX_TEXT_CHARACTERS:
        raise ApiError("text_too_long", f"{len(value):,} characters: send at most {MAX_TEXT_CHARACTERS:,}", param)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ApiError("invalid_value", f"{param} is not Unicode: half a surrogate pair ({error})", param) from error
    return value


def _picture(reference: str, param: str, settings: Settings) -> bytes:
    """Return a picture's bytes from a data URI or from plain base64. Nothing is ever fetched from the network."""
    scheme = reference[:8].lower()
    if scheme.startswith(("http://", "https://")):
        raise ApiError("url_not_supported", "URLs are not fetched: send the picture as a data URI or as base64", param)
    if scheme.startswith("s3://"):
        raise ApiError(
            "s3_not_enabled", "s3:// is not enabled here: send the picture as a data URI or as base64", param
        )
    if scheme.startswith("data:"):
        head, comma, reference = reference.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ApiError("invalid_base64", f"{shorten(head)} is not a data URI with `;base64,`", param)
    return _decode_base64(reference, param, settings.max_body_bytes)


def _decode_base64(text: str, param: str, max_bytes: int) -> bytes:
    if len(text) * 3 // 4 > max_bytes:  # a direct Invoke has no body that was measured before
        raise too_large(max_bytes)
    try:
        data = base64.b64decode("".join(text.splitlines()), validate=True)  # encoders for mail wrap their lines
    except (binascii.Error, ValueError) as error:
        raise ApiError("invalid_base64", f"{param} is not base64 ({error})", param) from error
    if not data:
        raise ApiError("empty_input", f"{param} is a picture of no bytes", param)
    return data
