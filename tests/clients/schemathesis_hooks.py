"""What schemathesis cannot know from the document: what an image is."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image

MODEL = "openclip-lambda/shapes-i18n"
KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
JINA = {"embedding_type", "encoding_type", "late_chunking", "normalized", "return_multivector", "task", "truncate"}
THEIRS = {*JINA, "output_dimension", "output_dtype", "output_encoding", "truncation"}
IMAGES = ("data:", "iVBOR", "/9j/", "UklGR", "R0lGOD", "Qk")  # how images begin in base64, of KINDS
SOURCES = ("texts", "images", "inputs")
FORM = ("entries", "text", "image")
CONTEXT_LENGTH = 32  # of the model, in tokens
FEW_CHARACTERS = 8  # at most 30 tokens, as bytes of UTF-8
MAX_ITEMS = 256  # OPENCLIP_MAX_ITEMS
MAX_GARBLED = 60  # characters in one request


def _image(kind: str, width: int, height: int, color: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (color, 255 - color, color // 2)).save(buffer, kind)
    return buffer.getvalue()


def image_files(*kinds: str) -> st.SearchStrategy[bytes]:
    sides, colors = st.integers(1, 90), st.integers(0, 255)
    return st.builds(_image, st.sampled_from(kinds), sides, sides, colors)


def _reference(data: bytes, bare: bool) -> str:
    text = base64.b64encode(data).decode("ascii")
    return text if bare else f"data:image/png;base64,{text}"


schemathesis.openapi.format("image", st.builds(_reference, image_files(*KINDS), st.booleans()))
ENTRIES = ({"modelName": MODEL}, {"modelName": MODEL, "options": {"language": "en"}})
entries = st.sampled_from([json.dumps({"clip": {"textual": entry}}) for entry in ENTRIES])
schemathesis.openapi.format("immich-entries", entries)
for kind in KINDS:
    schemathesis.openapi.media_type(f"image/{kind.lower()}", image_files(kind))


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_case(context: Any, case: Any) -> bool:
    """Leave out the kinds of body that are wrong by what no JSON Schema can say."""
    body, query = case.body, dict(case.query or {})
    given = {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else {}
    if _integers_of_any_length({**query, **given}):
        return False
    if query and isinstance(body, dict) and _of_another_vendor(body):
        return False  # their bodies have their own options: those of the query string are refused
    if isinstance(body, dict) and not all(isinstance(body.get(name, ""), str | bytes) for name in FORM):
        return False  # a form has no other types: what is one is sent as a text
    wrong = (
        _two_formats,
        _texts_as_images,
        _nothing_said,
        _too_many_prompts,
        _not_one_source,
        _too_many_parts,
        _not_to_be_cut,
        _fewer_tokens,
        _much_to_repair,
    )
    return not isinstance(body, dict) or not any(is_wrong(body) for is_wrong in wrong)


def _of_another_vendor(body: dict[str, Any]) -> bool:
    """Tell a body of `/v1/embeddings` that has a field of Jina's or Voyage's, be it null."""
    return "input" in body and (bool(THEIRS & body.keys()) or isinstance(body.get("modality"), list))


def _integers_of_any_length(body: dict[str, Any]) -> bool:
    """Tell a format that is of unit vectors beside the wish for others."""
    formats = {str(body.get(name)) for name in ("encoding_format", "embedding_type", "encoding_type")}
    any_length = any(body.get(name) in (False, "false") for name in ("normalize", "normalized"))
    return any_length and not formats <= {"None", "float", "base64"}


def _two_formats(body: dict[str, Any]) -> bool:
    """Tell a format of Jina's beside another one by its older name."""
    both = [body.get(name) for name in ("embedding_type", "encoding_type")]
    return None not in both and both[0] != both[1]


def _not_one_source(body: dict[str, Any]) -> bool:
    """Tell a request of Cohere's without any of the three sources, or with several."""
    return "input_type" in body and "input" not in body and sum(bool(body.get(name)) for name in SOURCES) != 1


def _too_many_parts(body: dict[str, Any]) -> bool:
    """Tell items that are few enough, and their parts together too many."""
    items = [item for name in ("input", "inputs", "messages") for item in _listed(body.get(name))]
    return sum(len(_listed(item.get("content"))) for item in items if isinstance(item, dict)) > MAX_ITEMS


def _texts_as_images(body: dict[str, Any]) -> bool:
    """Tell a `modality` beside strings that it does not fit, or beside more or fewer items than it has words."""
    kinds, items = _listed(body.get("modality")), _listed(body.get("input"))
    if body.get("modality") is None or len(kinds) not in (1, len(items)):
        return body.get("modality") is not None
    of_each = kinds * len(items) if len(kinds) == 1 else kinds
    strings = [item for kind, item in zip(of_each, items, strict=True) if kind == "image" and isinstance(item, str)]
    return not all(string.startswith(IMAGES) for string in strings)


def _nothing_said(body: dict[str, Any]) -> bool:
    """Tell messages that have nothing but texts of no characters."""
    contents = [one.get("content") for one in _listed(body.get("messages")) if isinstance(one, dict)]
    return bool(contents) and all(
        part == "" or (isinstance(part, dict) and part.get("text") == "")
        for content in contents
        for part in _listed(content)
    )


def _too_many_prompts(body: dict[str, Any]) -> bool:
    """Tell labels and templates that are few enough each, and too many multiplied."""
    return len(_listed(body.get("labels"))) * len(_listed(body.get("template"))) > MAX_ITEMS


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _fewer_tokens(body: dict[str, Any]) -> bool:
    """Tell a wish for fewer tokens than the model reads: a number that the document has for no single model."""
    most = body.get("max_tokens")
    return type(most) is int and most < CONTEXT_LENGTH


def _much_to_repair(body: dict[str, Any]) -> bool:
    """Tell many characters that mojibake is made of: a request has a budget for the passes that repair them."""
    template, labels = (list(_texts(body.get(name))) for name in ("template", "labels"))
    garbled = [sum("\x80" <= char <= "\xff" for char in "".join(texts)) for texts in (list(_texts(body)), template)]
    return garbled[0] + garbled[1] * len(labels) > MAX_GARBLED


def _not_to_be_cut(body: dict[str, Any]) -> bool:
    """Tell a text that may have more tokens than the model reads beside the wish that it be refused then."""
    kept = body.get("truncate") in (False, "NONE") or body.get("truncation") is False
    return kept and any(len(text) > FEW_CHARACTERS for text in _texts(body))


def _texts(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _texts(one)
    if isinstance(value, str):
        yield value
