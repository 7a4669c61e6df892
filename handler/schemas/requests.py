"""The JSON bodies of the routes that embed, each field once: what the handler checks is what `/openapi.json` says."""

from collections.abc import Mapping
from typing import Any

from handler.errors import ApiError
from handler.schemas.fields import IMAGE, MAX_TEXT_CHARACTERS, MODALITIES, TEXT, Either, Text, refuse_token_ids
from handler.schemas.validation import Body, Field, ListOf, Rule, Scalar
from handler.settings import Settings

FORMATS = ("float", "base64")
TEMPLATE = "a photo of a {}"
LABEL = Text(1_000)
PROMPT_CHARACTERS = 400  # on average, of as many prompts as a request may have; models read some 300

MODEL = Field(Scalar(str), "A model of `GET /v1/models`; without it, the bundle's first")
EXIF_ORIENTATION = Field(
    Scalar(bool),
    "Whether images are turned upright as their EXIF says. Without it, as the deployment is set: open_clip does not",
)
OPTIONS = {
    "model": MODEL,
    "encoding_format": Field(
        Scalar(str, FORMATS), "`base64` is little-endian float32: a quarter of the size", default="float"
    ),
    "dimensions": Field(Scalar(int), "Nothing but the model's own number: these vectors cannot be cut shorter"),
    "normalize": Field(Scalar(bool), "Whether vectors have unit length", default=True),
    "exif_orientation": EXIF_ORIENTATION,
}
QUERY = Body("ImageQuery", "The options of an image that is the body itself", OPTIONS)


class AbsentModality:
    """`modality` where it is absent: of the two that it may have, each has a body of its own."""

    def read(self, value: Any, param: str, settings: Settings) -> Any:
        """Raise ApiError: a value that is one of the two never gets here."""
        return Scalar(str, MODALITIES).read(value, param, settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": "null"}


def _embeddings(name: str, strings: str | None, about: str) -> Body:
    fields = {
        "user": Field(Scalar(str), "OpenAI's: who the end user is. Taken, and not kept"),
        "modality": Field(
            Scalar(str, (strings,)) if strings else AbsentModality(), "What plain strings are", bool(strings)
        ),
        "input": Field(
            ListOf(Either(strings), or_one=True, refuse=refuse_token_ids),
            "a text or an image, or a list of them in any order",
            required=True,
        ),
        **OPTIONS,
    }
    return Body(name, about, fields)


EMBEDDINGS = {
    None: _embeddings(
        "EmbeddingsRequest",
        None,
        "Texts and images in any order; a string that starts with `data:image/` is an image",
    ),
    "text": _embeddings("TextEmbeddingsRequest", "text", "Every plain string is a text"),
    "image": _embeddings("ImageEmbeddingsRequest", "image", "Every plain string is an image"),
}


class Templates:
    """One template or several, of which each label's prompts are made."""

    def read(self, value: Any, param: str, settings: Settings) -> list[str]:
        """Return the templates. Raises ApiError for one without `{}`."""
        items = ListOf(LABEL, or_one=True).read(value, param, settings)
        for item in items:
            if "{}" not in item.value:
                raise ApiError("invalid_value", f"{item.param} has no {{}} where the label goes", item.param)
        return [item.value for item in items]

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        one = {**LABEL.schema(settings), "pattern": r"\{\}"}
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": settings.max_items}]}


def _check_prompts(values: Mapping[str, Any], settings: Settings) -> None:
    labels, templates = values["labels"], values["template"]
    if (prompts := len(labels) * len(templates)) > settings.max_items:
        raise ApiError(
            "too_many_items",
            f"{len(labels):,} labels x {len(templates):,} templates = {prompts:,} prompts: at most "
            f"{settings.max_items:,} at once. OPENCLIP_MAX_ITEMS raises that",
            "labels",
        )
    lengths = [len(label.value) for label in labels]
    total = sum(
        (len(template) - 2 * template.count("{}")) * len(labels) + template.count("{}") * sum(lengths)
        for template in templates
    )
    if total > (most := PROMPT_CHARACTERS * settings.max_items):  # a small body can make large prompts
        raise ApiError(
            "text_too_long",
            f"the prompts have {total:,} characters together: at most {most:,}. Shorten the templates or the labels",
            "template",
        )
    longest = max(lengths)
    for template in templates:
        if (length := len(template) + template.count("{}") * longest) > MAX_TEXT_CHARACTERS:
            raise ApiError("text_too_long", f"a prompt of {length:,} characters: shorten the template", "template")


IMAGES: Rule = Either("image", kinds=("image",))
CLASSIFY = Body(
    "ClassifyRequest",
    "Zero-shot classification of images",
    {
        "input": Field(ListOf(IMAGES, or_one=True), "an image, or a list of images", True),
        "labels": Field(ListOf(LABEL), "a list of what an image may show", True),
        "template": Field(
            Templates(),
            "What each label is put into, at `{}`. Of several, the prompts' embeddings are averaged",
            default=[TEMPLATE],
        ),
        "model": MODEL,
        "exif_orientation": EXIF_ORIENTATION,
    },
    _check_prompts,
)
SIMILARITY = Body(
    "SimilarityRequest",
    "Every image against every text",
    {
        "images": Field(ListOf(IMAGES), "a list of images: the rows of the response", True),
        "texts": Field(ListOf(TEXT), "a list of texts: the columns of the response", True),
        "model": MODEL,
        "exif_orientation": EXIF_ORIENTATION,
    },
)
VECTORIZE = Body(
    "VectorizeRequest",
    "The request of Weaviate's multi2vec-clip module",
    {
        "texts": Field(ListOf(TEXT, or_none=True), "texts to embed", default=[]),
        "images": Field(ListOf(IMAGE, or_none=True), "images to embed, as base64", default=[]),
    },
)
