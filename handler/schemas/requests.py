"""The JSON bodies of the routes that embed, each field once: what the handler checks is what `/openapi.json` says."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from handler.errors import ApiError, counted
from handler.manifest import MODALITIES
from handler.schemas.fields import IMAGE, MAX_TEXT_CHARACTERS, TEXT, Image, Item, Text, is_data_uri, refuse_token_ids
from handler.schemas.validation import Body, Field, ListOf, Rule, Scalar, check_object, wrong_type
from handler.settings import Settings

FORMATS = ("float", "base64", "int8", "uint8", "binary", "ubinary")
CUTS = {"NONE": "none", "START": "start", "END": "end"}  # Cohere's words, and NVIDIA NIM's -> tokenizer.CUTS
TEMPLATE = "a photo of a {}"
LABEL = Text(1_000)
PROMPT_CHARACTERS = 400  # on average, of as many prompts as a request may have; models read some 300

MODEL = Field(Scalar(str), "A model of `GET /v1/models`; without it, the bundle's first")
USER = Field(Scalar(str), "OpenAI's: who the end user is. Taken, and not kept")
INPUT_TYPE = Field(Scalar(str), "Whether these are queries or documents. Taken, and the same to CLIP's models")
DROP_PARAMS = Field(Scalar(bool), "LiteLLM's, which RAGFlow sends to every API. Taken, and without a meaning here")
EXIF_ORIENTATION = Field(
    Scalar(bool),
    "Whether images are turned upright as their EXIF says. Without it, as the deployment is set: open_clip does not",
)
OPTIONS = {
    "model": MODEL,
    "encoding_format": Field(
        Scalar(str, FORMATS),
        "`base64` is little-endian float32, a quarter of the size; of the others, of unit vectors, docs/api.md has the "
        "scale",
        default="float",
    ),
    "dimensions": Field(Scalar(int), "Nothing but the model's own number: these vectors cannot be cut shorter"),
    "normalize": Field(Scalar(bool), "Whether vectors have unit length", default=True),
    "exif_orientation": EXIF_ORIENTATION,
}
QUERY = Body("ImageQuery", "The options of an image that is the body itself", OPTIONS)


class Either(NamedTuple):
    """A plain string, `{"text": ...}`, `{"image": ...}`, an object of both, or a content part of a chat API.

    `strings` says what plain strings are; None leaves that to each: a data URI is an image.
    `kinds` are the keys that an object may have.
    """

    strings: str | None = None
    kinds: tuple[str, ...] = MODALITIES

    def read(self, value: Any, param: str, settings: Settings) -> Item:
        """Return the item. Raises ApiError."""
        if isinstance(value, str):
            is_image = self.strings == "image" or (not self.strings and is_data_uri(value))
            return (IMAGE if is_image else TEXT).read(value, param, settings)
        if not isinstance(value, dict):
            forms = " or ".join(f'{{"{kind}": ...}}' for kind in self.kinds)
            raise wrong_type(value, f"a string, {forms}", param)
        if self.kinds == MODALITIES and ("type" in value or "content" in value):
            from handler.schemas import parts  # late: a plain request has none

            return parts.read_object(value, param, settings)
        fields = check_object(value, self.kinds, param)
        if not fields:
            raise ApiError("invalid_value", f"{param} must have one of `{'`, `'.join(self.kinds)}`", param)
        items = [_one(kind, content, param, len(fields) > 1, settings) for kind, content in fields.items()]
        return items[0] if len(items) == 1 else Item(items, param)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        rules: dict[str, Text | Image] = {"text": TEXT, "image": IMAGE}
        plain = rules["image" if self.strings == "image" else "text"]
        known = {
            "type": "object",
            "properties": {kind: rules[kind].schema(settings) for kind in self.kinds},
            "minProperties": 1,
            "additionalProperties": False,
        }
        forms = [plain.schema(settings), known]
        if self.kinds == MODALITIES:
            from handler.schemas import parts

            forms += [parts.PART, parts.object_schema(settings)]
        return {"anyOf": forms}


def _one(kind: str, content: Any, param: str, of_both: bool, settings: Settings) -> Item:
    where = f"{param}.{kind}"
    if not isinstance(content, str):
        raise wrong_type(content, "a string", where)
    return (IMAGE if kind == "image" else TEXT).read(content, where if of_both else param, settings)


class AbsentModality:
    """The rule for `modality` if it is absent: each of its two values selects another body, which has its own rule."""

    def read(self, value: Any, param: str, settings: Settings) -> Any:
        """Raise ApiError for any value: the two valid ones select other bodies, and never get here."""
        return Scalar(str, MODALITIES).read(value, param, settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """Describe it."""
        return {"type": "null"}


def check_parts(param: str) -> Callable[[Mapping[str, Any], Settings], None]:
    """Return a check that a field's items have at most OPENCLIP_MAX_ITEMS parts together."""

    def check(values: Mapping[str, Any], settings: Settings) -> None:
        count = sum(len(item.parts) for item in values[param] or ())
        if count > settings.max_items:
            message = f"{count:,} texts and images: send at most {settings.max_items:,} at once"
            raise ApiError("too_many_items", f"{message}. OPENCLIP_MAX_ITEMS raises that", param)

    return check


def _embeddings(name: str, strings: str | None, about: str) -> Body:
    fields = {
        "user": USER,
        "input_type": INPUT_TYPE,
        "drop_params": DROP_PARAMS,
        "modality": Field(
            Scalar(str, (strings,)) if strings else AbsentModality(), "What plain strings are", bool(strings)
        ),
        "input": Field(
            ListOf(Either(strings), or_one=True, refuse=refuse_token_ids),
            "a text or an image, or a list of them in any order. One item may have a text and images: its vector is "
            "the mean of their unit vectors",
            required=True,
        ),
        **OPTIONS,
    }
    return Body(name, about, fields, check_parts("input"))


EMBEDDINGS = {
    None: _embeddings(
        "EmbeddingsRequest",
        None,
        "Texts and images in any order; a string that is a data URI is an image",
    ),
    "text": _embeddings("TextEmbeddingsRequest", "text", "Every plain string is a text"),
    "image": _embeddings("ImageEmbeddingsRequest", "image", "Every plain string is an image"),
}


class Templates:
    """One template, or several, from which the prompts of each label are made."""

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
            f"{counted(len(labels), 'label')} x {counted(len(templates), 'template')} = {prompts:,} prompts: at most "
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
