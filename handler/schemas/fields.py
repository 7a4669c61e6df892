"""The rules for texts and images: what may be embedded, and where an image may come from."""

import re
from typing import Any, NamedTuple

from handler.errors import ApiError, shorten
from handler.imaging import s3
from handler.imaging.s3 import S3Object
from handler.messages import decode_base64, too_large
from handler.schemas.validation import wrong_type
from handler.settings import Settings

MAX_TEXT_CHARACTERS = 10_000  # models read the first few hundred; CLIP's tokenizer takes seconds for one longer word


class Item(NamedTuple):
    """One thing to embed: a text, an image as bytes or as its place in S3, or a list of these.

    The vector of a list is the mean of the unit vectors. `param` is its place in the request, as `input[3]`.
    """

    value: "str | bytes | S3Object | list[Item]"
    param: str | None

    @property
    def parts(self) -> "list[Item]":
        """The texts and images that it consists of: itself, unless it is a list."""
        return self.value if isinstance(self.value, list) else [self]


class Text(NamedTuple):
    """A text of at least one character and at most `limit`."""

    limit: int = MAX_TEXT_CHARACTERS

    def read(self, value: Any, param: str, settings: Settings) -> Item:
        """Return the text as an item. Raises ApiError."""
        if not isinstance(value, str):
            raise wrong_type(value, "a string", param)
        if not value:
            raise ApiError("empty_input", f"{param} is an empty string: send at least one character", param)
        if len(value) > self.limit:
            raise ApiError("text_too_long", f"{len(value):,} characters: send at most {self.limit:,}", param)
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ApiError(
                "invalid_value", f"{param} is not Unicode: half a surrogate pair ({error})", param
            ) from error
        return Item(value, param)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": "string", "minLength": 1, "maxLength": self.limit}


class Image:
    """An image as a data URI, as plain base64, or in an allowed bucket of S3. No URL is ever fetched."""

    def read(self, value: Any, param: str, settings: Settings) -> Item:
        """Return the image's bytes as an item. Raises ApiError."""
        if not isinstance(value, str):
            raise wrong_type(value, "a string", param)
        return Item(_image(value, param, settings), param)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it. The format is ours: JSON Schema has none for an image."""
        where = " or s3://bucket/key[?versionId=...]" if settings.allowed_buckets else ""
        about = f"An image, as a data URI with `;base64,` or as base64{where}: PNG, JPEG, WebP, GIF or BMP"
        return {"type": "string", "format": "image", "minLength": 1, "description": about}


TEXT = Text()
IMAGE = Image()
MOST_HEAD = 1_000  # characters of a data URI before its comma, which may include a file's name
# `data:image/`, or any type in base64. `data: see;base64,` is a text: a media type has no space.
DATA_URI = r"data:(?:image/|[\w.+/-]*(?:;[^,]*)?;base64,)"  # compiled at its first use, and not in a cold start


def is_data_uri(value: str) -> bool:
    """Tell whether a string is an image: if it begins with `data:image/`, or with `data:...;base64,` of any type.

    Browsers name no type, or application/octet-stream, for a file that they do not know, such as HEIC.
    """
    head = value.lstrip()[:MOST_HEAD]
    return head[:5].lower() == "data:" and re.match(DATA_URI, head, re.IGNORECASE) is not None


def refuse_token_ids(first: Any, param: str) -> None:
    """Raise ApiError if a list begins with token ids, as LangChain sends them: they must not be embedded as texts."""
    if type(first) is int or isinstance(first, list):
        raise ApiError(
            "token_ids_not_supported",
            f"`{param}` holds token ids of another model's tokenizer: send strings. "
            "In LangChain's OpenAIEmbeddings, set check_embedding_ctx_length=False and chunk_size=64",
            param,
        )


def _image(reference: str, param: str, settings: Settings) -> bytes | S3Object:
    reference = reference.lstrip()  # as in a data URI by the URL Standard; a key of S3 may end in a space
    scheme = reference[:8].lower()
    if scheme.startswith(("http://", "https://")):
        raise ApiError("url_not_supported", "URLs are not fetched: send the image as a data URI or as base64", param)
    if scheme.startswith(s3.SCHEME):
        return s3.parse(reference, param, settings)
    if scheme.startswith("data:"):
        head, comma, reference = reference.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ApiError("invalid_base64", f"{shorten(head)} is not a data URI with `;base64,`", param)
    return _decode_base64(reference, param, settings.max_body_bytes)


def _decode_base64(text: str, param: str, max_bytes: int) -> bytes:
    if len(text) * 3 // 4 > max_bytes:  # a direct Invoke has no body that was measured before
        raise too_large(max_bytes)
    try:
        data = _strict_base64(text)
    except ValueError as error:
        fix = "send an image as base64 (A-Z, a-z, 0-9, + and /, filled up with =), or as a data URI of that"
        raise ApiError("invalid_base64", f"{param} is not base64 ({error}): {fix}", param) from error
    if not data:
        raise ApiError("empty_input", f"{param} is an image of no bytes: send the complete file", param)
    return data


def _strict_base64(text: str) -> bytes:
    """Decode without a copy of the text, unless it has lines, as encoders for mail make them, or space around it.

    A space within is refused: where a form was decoded it was a plus. Raises ValueError.
    """
    try:
        return decode_base64(text)
    except ValueError:
        joined = "".join(text.strip().splitlines())
        if joined == text:
            raise
        return decode_base64(joined)
