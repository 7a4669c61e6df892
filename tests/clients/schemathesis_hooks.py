"""What schemathesis cannot know from the document: what an image is."""

import base64
import io
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_PROMPTS = 256  # OPENCLIP_MAX_ITEMS


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
for kind in KINDS:
    schemathesis.openapi.media_type(f"image/{kind.lower()}", image_files(kind))


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_case(context: Any, case: Any) -> bool:
    """Leave out the two kinds of body that are wrong by what no JSON Schema can say."""
    body = case.body
    return not isinstance(body, dict) or not (_texts_as_images(body) or _too_many_prompts(body))


def _texts_as_images(body: dict[str, Any]) -> bool:
    """Tell a body that puts one example's texts beside another's `modality`: both are strings."""
    strings = [item for item in _listed(body.get("input")) if isinstance(item, str)]
    return body.get("modality") == "image" and any(" " in string for string in strings)


def _too_many_prompts(body: dict[str, Any]) -> bool:
    """Tell labels and templates that are few enough each, and too many multiplied."""
    return len(_listed(body.get("labels"))) * len(_listed(body.get("template"))) > MAX_PROMPTS


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
