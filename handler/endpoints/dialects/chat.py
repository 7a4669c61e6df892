"""`messages` in the place of `input`, as vLLM's embeddings of chats: one vector of all that the messages hold.

A CLIP model reads no conversation: the vector is the mean of the unit vectors of every text and image in it.
"""

from collections.abc import Mapping
from typing import Any

from handler.endpoints.embeddings import EmbeddingsRequest, options
from handler.errors import ApiError, shorten
from handler.schemas import parts
from handler.schemas.fields import Item
from handler.schemas.requests import OPTIONS, USER
from handler.schemas.validation import Body, Field, ListOf, Scalar, check_object, check_query
from handler.settings import Settings

TAKEN = Field(Scalar(bool), "vLLM's. Taken, and without a meaning here")


class Message:
    """`{"role": ..., "content": ...}`: a text, or a list of parts."""

    def read(self, value: Any, param: str, settings: Settings) -> list[Item]:
        """Return what it holds. Raises ApiError."""
        fields = check_object(value, ("role", "content"), param)
        if fields.get("role") not in parts.ROLES:
            roles = " or ".join(parts.ROLES)
            raise ApiError("invalid_value", f"the role is {shorten(fields.get('role'))}: set it to {roles}", param)
        return parts.read_content(fields.get("content"), f"{param}.content", settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {
            "type": "object",
            "properties": {"role": {"enum": list(parts.ROLES)}, "content": parts.content_schema(settings)},
            "required": ["role", "content"],
            "additionalProperties": False,
        }


REQUEST = Body(
    "ChatEmbeddingsRequest",
    "Messages of a chat, of which one vector is made: the mean of their texts' and images' unit vectors",
    {
        "messages": Field(ListOf(Message()), "a list of messages", True),
        "user": USER,
        "add_generation_prompt": TAKEN,
        "add_special_tokens": TAKEN,
        "continue_final_message": TAKEN,
        **OPTIONS,
    },
)


def parse(body: Any, settings: Settings, query: Mapping[str, str]) -> EmbeddingsRequest:
    """Check a body that has `messages`; options that it leaves out may stand in the query string. Raises ApiError."""
    check_query(query, REQUEST.fields.keys() - OPTIONS.keys())
    fields = REQUEST.read(body, settings)
    items = [item for message in fields["messages"] for item in message]
    if len(items) > settings.max_items:
        message = f"{len(items):,} texts and images: send at most {settings.max_items:,} at once"
        raise ApiError("too_many_items", f"{message}. OPENCLIP_MAX_ITEMS raises that", "messages")
    return EmbeddingsRequest([parts.joined(items, "messages")], **options(body, fields, query, settings))
