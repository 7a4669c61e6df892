"""The JSON bodies of the routes that embed, each field once: what the handler checks is what `/openapi.json` says."""

from collections.abc import Mapping
from typing import Any

from handler.errors import ApiError
from handler.inputs import MAX_TEXT_CHARACTERS, MODALITIES, TEXT, Either, Text, refuse_token_ids
from handler.rules import Body, Field, ListOf, Rule, Scalar
from handler.settings import Settings

FORMATS = ("float", "base64")
TEMPLATE = "a photo of a {}"
LABEL = Text(1_000)

MODEL = Field(Scalar(str), "A model of `GET /v1/models`; without it, the bundle's first")
OPTIONS = {
    "model": MODEL,
    "encoding_format": Field(
        Scalar(str, FORMATS), "`base64` is little-endian float32: a quarter of the size", default="float"
    ),
    "dimensions": Field(Scalar(int), "Nothing but the model's own number: these vectors cannot be cut shorter"),
    "normalize": Field(Scalar(bool), "Whether vectors have unit length", default=True),
}


def _embeddings(name: str, strings: str | None, about: str, example: Any) -> Body:
    modality = Scalar(str, MODALITIES if strings is None else (strings,))
    rule = ListOf(Either(strings), or_one=True, refuse=refuse_token_ids)
    fields = {
        "user": Field(Scalar(str), "OpenAI's: who the end user is. Taken, and not kept"),
        "modality": Field(modality, "What plain strings are", required=strings is not None),
        "input": Field(rule, "a text or a picture, or a list of them in any order", True, examples=(example,)),
        **OPTIONS,
    }
    return Body(name, about, fields)


EMBEDDINGS = {
    None: _embeddings(
        "EmbeddingsRequest",
        None,
        "Texts and pictures in any order; a string that starts with `data:image/` is a picture",
        ["a red circle", {"text": "一个红色的圆形"}],
    ),
    "text": _embeddings("TextEmbeddingsRequest", "text", "Every plain string is a text", "a red circle"),
    "image": _embeddings("PictureEmbeddingsRequest", "image", "Every plain string is a picture", None),
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
    longest = max(len(label.value) for label in labels)
    for template in templates:
        if (length := len(template) + template.count("{}") * longest) > MAX_TEXT_CHARACTERS:
            raise ApiError("text_too_long", f"a prompt of {length:,} characters: shorten the template", "template")


PICTURES: Rule = Either("image", kinds=("image",))
CLASSIFY = Body(
    "ClassifyRequest",
    "Zero-shot classification of pictures",
    {
        "input": Field(ListOf(PICTURES, or_one=True), "a picture, or a list of pictures", True),
        "labels": Field(ListOf(LABEL), "a list of what a picture may show", True, examples=(["circle", "square"],)),
        "template": Field(
            Templates(),
            "What each label is put into, at `{}`. Of several, the prompts' embeddings are averaged",
            default=[TEMPLATE],
            examples=(TEMPLATE, [TEMPLATE, "a drawing of a {}"]),
        ),
        "model": MODEL,
    },
    _check_prompts,
)
SIMILARITY = Body(
    "SimilarityRequest",
    "Every picture against every text",
    {
        "images": Field(ListOf(PICTURES), "a list of pictures: the rows of the answer", True),
        "texts": Field(ListOf(TEXT), "a list of texts: the columns of the answer", True, examples=(["a red circle"],)),
        "model": MODEL,
    },
)
