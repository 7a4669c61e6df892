"""`POST /embed`, or `POST /`, of Hugging Face's text-embeddings-inference: texts in, a bare list of vectors out.

huggingface.github.io/text-embeddings-inference. Images go in as data URIs, which that server does not know.
"""

from typing import Any

from handler.endpoints.dialects.core import check_dimensions, coded
from handler.endpoints.dialects.rules import Only
from handler.endpoints.embeddings import embed, floats, modalities, unit
from handler.errors import ApiError
from handler.messages import Request, Response
from handler.schemas.fields import refuse_token_ids
from handler.schemas.limits import check_response_size
from handler.schemas.requests import MODEL, Either, check_parts
from handler.schemas.validation import Body, Field, ListOf, Scalar, check_object
from handler.service import Service
from handler.settings import Settings

SIDES = {"Right": "end", "right": "end", "Left": "start", "left": "start"}


class Options:
    """`options` of Hugging Face's Inference API, which clients of it send to that server, too: it looks at none.

    Weaviate's text2vec-huggingface does, and LangChain's HuggingFaceInferenceAPIEmbeddings. No vector depends on them.
    """

    NAMES = ("use_cache", "use_gpu", "wait_for_model")

    def read(self, value: Any, param: str, settings: Settings) -> None:
        """Check them. Raises ApiError."""
        for name, one in check_object(value, self.NAMES, param).items():
            Scalar(bool).read(one, f"{param}.{name}", settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe them."""
        known = dict.fromkeys(self.NAMES, Scalar(bool).schema(settings))
        return {"type": "object", "properties": known, "additionalProperties": False}


REQUEST = Body(
    "TeiEmbedRequest",
    "The request of text-embeddings-inference",
    {
        "inputs": Field(ListOf(Either(), or_one=True, refuse=refuse_token_ids), "a text, or a list of texts", True),
        "normalize": Field(Scalar(bool), "Whether vectors have unit length", default=True),
        "truncate": Field(Scalar(bool), "Whether a text that is too long is cut; false: it is refused", default=True),
        "truncation_direction": Field(Scalar(str, tuple(SIDES)), "At which side it is cut"),
        "prompt_name": Field(Only(False), "CLIP's models have no prompts"),
        "dimensions": Field(Scalar(int), "Nothing but the model's own number"),
        # Of huggingface_hub's and @huggingface/inference's `feature_extraction`, who read numbers.
        "encoding_format": Field(Scalar(str, ("float",)), "Nothing but float"),
        "options": Field(Options(), "The Inference API's. Taken, and not looked at"),
        "model": MODEL,  # that server has one, and no such field: @huggingface/inference sends it up to version 2
    },
    check_parts("inputs"),
)
KINDS = {"empty_input": "Empty", "internal_error": "Backend", "not_ready": "Unhealthy"}


def respond(service: Service, request: Request) -> Response:
    """Answer a request. Raises ApiError."""
    fields = REQUEST.of(request, service.settings)
    entry = service.models.manifest.model(fields["model"])
    check_dimensions(fields["dimensions"], entry, "dimensions")
    check_response_size(len(fields["inputs"]), entry.embed_dim, "float", param="inputs")
    cut = SIDES.get(fields["truncation_direction"]) if fields["truncate"] else "none"
    model = service.model(fields["model"], modalities(fields["inputs"]))
    vectors, _ = embed(fields["inputs"], model, service.settings, cut)
    return Response(200, floats(unit(vectors) if fields["normalize"] else vectors))


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error as that server does."""
    return {"error": coded(error), "error_type": KINDS.get(error.code, "Validation")}
