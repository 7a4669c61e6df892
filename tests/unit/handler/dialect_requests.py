"""Requests of other vendors' APIs, by what they document, for the tests of the adapters."""

import json
from typing import Any

from tests.unit.fake_bundle import FIRST, FakeFunction, data_uri, image_bytes

RED = data_uri(image_bytes())
CONTENT = [{"type": "text", "text": "abc"}, {"type": "image_url", "image_url": {"url": RED}}]
COHERE = {"model": FIRST, "input_type": "search_document"}


def post(function: FakeFunction, path: str, body: Any) -> tuple[int, Any]:
    return function.http("POST", path, json.dumps(body).encode())


def form(fields: dict[str, bytes], boundary: str = "x") -> tuple[bytes, str]:
    """Write a form as browsers and undici do."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in fields.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def predict(function: FakeFunction, fields: dict[str, bytes], boundary: str = "x") -> tuple[int, Any]:
    return function.http("POST", "/predict", *form(fields, boundary))


def entries(tower: str, name: str = FIRST) -> bytes:
    return json.dumps({"clip": {tower: {"modelName": name, "options": {}}}}).encode()
