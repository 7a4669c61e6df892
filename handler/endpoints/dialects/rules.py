"""Rules for fields that several vendors have: an input of several parts, and a switch that can stand one way only."""

from typing import Any, NamedTuple

from handler.errors import ApiError, shorten
from handler.schemas import parts
from handler.schemas.fields import Item
from handler.schemas.validation import check_object, wrong_type
from handler.settings import Settings


class Content:
    """`{"content": [...]}`: an input of at least one part, as Cohere and Voyage have it."""

    def read(self, value: Any, param: str, settings: Settings) -> Item:
        """Return the parts as one item. Raises ApiError."""
        content, where = check_object(value, ("content",), param).get("content"), f"{param}.content"
        if not isinstance(content, list):
            raise wrong_type(content, "a list of parts", where)
        return parts.joined(parts.read_content(content, where, settings), param)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        known = {"type": "object", "properties": {"content": parts.PARTS}, "required": ["content"]}
        return {**known, "additionalProperties": False}


class Only(NamedTuple):
    """A field with one permitted value: CLIP's models lack the option, or cannot switch it off."""

    value: bool

    def read(self, value: Any, param: str, settings: Settings) -> bool:
        """Return the value. Raises ApiError for any other."""
        if value is not self.value:
            message = f"{param} is {shorten(value)}, which these models cannot: leave it out"
            raise ApiError("invalid_value", message, param)
        return bool(value)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"const": self.value}
