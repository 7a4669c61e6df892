"""A direct Invoke with the request of Amazon Titan Multimodal Embeddings, as it is the body of Bedrock's InvokeModel.

docs.aws.amazon.com: Bedrock "Amazon Titan Multimodal Embeddings G1". Of a text and an image it answers the mean too.
"""

from typing import Any

from handler.endpoints.dialects.core import check_dimensions, coded, embedded
from handler.endpoints.embeddings import floats
from handler.errors import ApiError
from handler.messages import Response
from handler.schemas.fields import IMAGE, TEXT, Item
from handler.schemas.validation import Body, Field, Scalar, check_object
from handler.service import Service
from handler.settings import Settings

LENGTH = "outputEmbeddingLength"


class EmbeddingConfig:
    """`{"outputEmbeddingLength": ...}`."""

    def read(self, value: Any, param: str, settings: Settings) -> int | None:
        """Return the length. Raises ApiError."""
        length = check_object(value, (LENGTH,), param).get(LENGTH)
        return None if length is None else int(Scalar(int).read(length, f"{param}.{LENGTH}", settings))

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": "object", "properties": {LENGTH: {"type": ["integer", "null"]}}, "additionalProperties": False}


REQUEST = Body(
    "TitanRequest",
    "The request of Titan Multimodal Embeddings",
    {
        "inputText": Field(TEXT, "A text"),
        "inputImage": Field(IMAGE, "An image, as base64"),
        "embeddingConfig": Field(EmbeddingConfig(), "Nothing but the model's own length"),
    },
)


def invoke(service: Service, event: Any) -> Response:
    """Answer an event that has a field of Titan's. Raises ApiError."""
    fields = REQUEST.read(event, service.settings)
    parts = [fields[name] for name in ("inputText", "inputImage") if fields[name] is not None]
    if not parts:
        raise ApiError("missing_input", "send `inputText`, `inputImage` or both", "inputText")
    entry = service.models.manifest.model(None)
    check_dimensions(fields["embeddingConfig"], entry, f"embeddingConfig.{LENGTH}")
    found = embedded(service, [Item(parts, None) if len(parts) > 1 else parts[0]], None, "float")
    body = {"embedding": floats(found.vectors[0]), "inputTextTokenCount": found.tokens, "message": None}
    return Response(200, body)


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error as Titan's body has one."""
    return {"message": coded(error)}
