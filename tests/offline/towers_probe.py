"""Embeds an image, then a text, and prints after each which of the model's files are in use."""

import base64
import io
import json
import sys
from pathlib import Path

from handler.app import lambda_handler

from PIL import Image  # isort: skip - after the handler, as in Lambda


def in_use() -> list[str]:
    """Name the towers whose weights are mapped, and `tokenizers` where the library is imported."""
    mapped = {line.rpartition("/")[2].split(".")[0] for line in Path("/proc/self/maps").read_text().splitlines()}
    return sorted((mapped & {"image", "text"}) | ({"tokenizers"} & set(sys.modules)))


buffer = io.BytesIO()
Image.new("RGB", (9, 7), "red").save(buffer, "PNG")
found = []
for item in ({"image": base64.b64encode(buffer.getvalue()).decode()}, "a red circle"):
    answer = lambda_handler({"input": [item]}, None)
    assert "data" in answer, answer
    found.append(in_use())
print(json.dumps(found))
