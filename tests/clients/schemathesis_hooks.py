"""What schemathesis cannot know from the document: what a picture is."""

import base64
import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def _picture(kind: str, width: int, height: int, color: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (color, 255 - color, color // 2)).save(buffer, kind)
    return buffer.getvalue()


def pictures(*kinds: str) -> st.SearchStrategy[bytes]:
    sides, colors = st.integers(1, 90), st.integers(0, 255)
    return st.builds(_picture, st.sampled_from(kinds), sides, sides, colors)


def _reference(data: bytes, bare: bool) -> str:
    text = base64.b64encode(data).decode("ascii")
    return text if bare else f"data:image/png;base64,{text}"


schemathesis.openapi.format("picture", st.builds(_reference, pictures(*KINDS), st.booleans()))
for kind in KINDS:
    schemathesis.openapi.media_type(f"image/{kind.lower()}", pictures(kind))
