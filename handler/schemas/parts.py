"""Content parts as chat APIs send them: `{"type": "text", ...}`, `{"type": "image_url", ...}`, and lists of them."""

from collections.abc import Collection
from typing import Any

from handler.errors import ApiError, shorten
from handler.schemas.fields import IMAGE, TEXT, Item
from handler.schemas.validation import check_object, wrong_type
from handler.settings import Settings

# Each type of part: the key that holds its content. OpenAI's chat and responses, Voyage's, and Qwen's names.
KEYS = {
    "text": "text",
    "input_text": "text",
    "image_url": "image_url",
    "input_image": "image_url",
    "image_base64": "image_base64",
    "image": "image",
}
PART = {"$ref": "#/components/schemas/ContentPart"}
PARTS = {"type": "array", "minItems": 1, "items": PART}
ROLES = ("system", "developer", "user", "assistant")


def read_object(value: dict[Any, Any], param: str, settings: Settings) -> Item:
    """Read one part, or `{"content": ...}` of several. Raises ApiError."""
    if "type" in value:
        return read_part(value, param, settings)
    fields = check_object(value, ("content", "role"), param)
    if fields.get("role") not in (None, *ROLES):
        raise ApiError("invalid_value", f"the role is {shorten(fields['role'])}: it is {' or '.join(ROLES)}", param)
    return joined(read_content(fields["content"], f"{param}.content", settings), param)


def read_content(value: Any, param: str, settings: Settings, without: Collection[Any] = ()) -> list[Item]:
    """Read a text, or a list of at least one part, of which those in `without` are passed over. Raises ApiError."""
    if isinstance(value, str):
        return [TEXT.read(value, param, settings)]
    if not isinstance(value, list):
        raise wrong_type(value, "a string, or a list of parts", param)
    if not value:
        raise ApiError("empty_input", f"{param} is an empty list: send at least one part", param)
    if len(value) > settings.max_items:
        message = f"{len(value):,} parts: send at most {settings.max_items:,} at once. OPENCLIP_MAX_ITEMS raises that"
        raise ApiError("too_many_items", message, param)
    return [read_part(part, f"{param}[{index}]", settings) for index, part in enumerate(value) if part not in without]


def read_part(value: Any, param: str, settings: Settings) -> Item:
    """Read one part. Raises ApiError."""
    if not isinstance(value, dict):
        raise wrong_type(value, 'a part, as {"type": "text", "text": ...}', param)
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in KEYS:
        raise ApiError("invalid_value", f"the type is {shorten(kind)}: set it to {' or '.join(KEYS)}", f"{param}.type")
    key = KEYS[kind]
    fields = check_object(value, ("type", key, *(("detail",) if key == "image_url" else ())), param)
    content, where = fields.get(key), f"{param}.{key}"
    if key == "image_url" and isinstance(content, dict):
        content, where = check_object(content, ("url", "detail"), where).get("url"), f"{where}.url"
    if not isinstance(content, str):
        raise wrong_type(content, "a string", where)
    return (TEXT if key == "text" else IMAGE).read(content, where, settings)


def joined(items: list[Item], param: str) -> Item:
    """Return one item of all of them."""
    return items[0] if len(items) == 1 else Item(items, param)


def schemas(settings: Settings) -> dict[str, Any]:
    """Describe every kind of part: the document's components that PART and PARTS refer to."""
    return {"ContentPart": {"anyOf": [_part_schema(kind, key, settings) for kind, key in KEYS.items()]}}


def content_schema(settings: Settings) -> dict[str, Any]:
    """Describe what `read_content` takes."""
    return {"anyOf": [TEXT.schema(settings), PARTS]}


def object_schema(settings: Settings) -> dict[str, Any]:
    """Describe `{"content": ...}`."""
    return {
        "type": "object",
        "properties": {"content": content_schema(settings), "role": {"enum": [None, *ROLES]}},
        "required": ["content"],
        "additionalProperties": False,
    }


def _part_schema(kind: str, key: str, settings: Settings) -> dict[str, Any]:
    content = (TEXT if key == "text" else IMAGE).schema(settings)
    properties = {"type": {"const": kind}, key: content}
    if key == "image_url":
        url = {
            "type": "object",
            "properties": {"url": content, "detail": {}},
            "required": ["url"],
            "additionalProperties": False,
        }
        properties |= {key: {"anyOf": [content, url]}, "detail": {}}
    return {"type": "object", "properties": properties, "required": ["type", key], "additionalProperties": False}
