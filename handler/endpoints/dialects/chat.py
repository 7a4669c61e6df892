"""`messages` in the place of `input`, as vLLM's embeddings of chats: one vector of all that the messages hold.

A CLIP model reads no conversation: the vector is the mean of the unit vectors of every text and image in it. Texts of
no characters are not among them: clients of vLLM's Qwen3-VL-Embedding end with a message of one.
"""

from collections.abc import Mapping
from typing import Any

from handler.endpoints.embeddings import EmbeddingsRequest, options
from handler.errors import ApiError, shorten
from handler.schemas import parts
from handler.schemas.fields import TEXT, Item
from handler.schemas.requests import OPTIONS, USER
from handler.schemas.validation import Body, Field, ListOf, Scalar, check_object, check_query
from handler.settings import Settings

EMPTY = tuple({"type": kind, "text": ""} for kind in ("text", "input_text"))
TAKEN = Field(Scalar(bool), "vLLM's. Taken, and without a meaning here")


class Message:
    """`{"role": ..., "content": ...}`: a text, or a list of parts."""

    def read(self, value: Any, param: str, settings: Settings) -> list[Item]:
        """Return what it holds. Raises ApiError."""
        fields = check_object(value, ("role", "content"), param)
        if fields.get("role") not in parts.ROLES:
            roles = " or ".join(parts.ROLES)
            raise ApiError("invalid_value", f"the role is {shorten(fields.get('role'))}: set it to {roles}", param)
        content = fields.get("content")
        return [] if content == "" else parts.read_content(content, f"{param}.content", settings, EMPTY)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        text = {**TEXT.schema(settings), "minLength": 0}
        listed = {**parts.PARTS, "items": {"anyOf": [parts.PART, {"enum": list(EMPTY)}]}}
        return {
            "type": "object",
            "properties": {"role": {"enum": list(parts.ROLES)}, "content": {"anyOf": [text, listed]}},
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
    if not items:
        raise ApiError("empty_input", "messages hold no text and no image: send at least one", "messages")
    if len(items) > settings.max_items:
        message = f"{len(items):,} texts and images: send at most {settings.max_items:,} at once"
        raise ApiError("too_many_items", f"{message}. OPENCLIP_MAX_ITEMS raises that", "messages")
    return EmbeddingsRequest([parts.joined(items, "messages")], **options(body, fields, query, settings))
