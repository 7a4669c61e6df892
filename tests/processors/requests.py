"""One event of every kind that the function answers, and how the responses of two processors are compared."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from tests.e2e.ask import KINDS, TEXTS, image_item

JSON = "application/json"
CHANGES = {"id", "manifest_sha256"}  # of a request, and of a bundle for another target
SCORE = 0.01  # how far a score may be from another processor's: vectors with a cosine of 0.99999 are 0.0045 apart
IN_BYTES = 0.999  # cosine of vectors whose numbers are rounded to a byte
BOUNDARY = "x"


def http(method: str, path: str, body: Any = None, media_type: str = JSON, query: str = "") -> dict[str, Any]:
    """Return the event of an HTTP API; `body` is JSON, or bytes of another media type."""
    encoded = isinstance(body, bytes)
    text = base64.b64encode(body).decode() if encoded else "" if body is None else json.dumps(body)
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"content-type": media_type},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": text,
        "isBase64Encoded": encoded,
    }


def events() -> list[dict[str, Any]]:
    """Return an event of each route and each way to say it; the first is a direct Invoke."""
    captions = ["a red circle", "a blue star", "一个红色的圆形"]
    image, photo = image_item("PNG", "RGBA"), _photo()
    uri = f"data:image/png;base64,{image['image']}"
    parts = [{"type": "text", "text": captions[0]}, {"type": "image_url", "image_url": {"url": uri}}]
    cohere = {"input_type": "search_document", "embedding_types": ["float"], "model": "openclip-lambda/shapes-i18n"}
    return [
        {"input": captions},
        {"inputText": captions[0], "inputImage": image["image"]},
        http("POST", "/v1/embeddings", {"input": [*TEXTS, *(image_item(kind, mode) for kind, mode in KINDS)]}),
        http("POST", "/v1/embeddings", {"input": captions, "encoding_format": "base64"}),
        http("POST", "/v1/embeddings", {"input": captions, "encoding_format": "int8"}),
        http("POST", "/v1/embeddings", {"messages": [{"role": "user", "content": parts}]}),
        http("POST", "/v1/embeddings", photo, "image/jpeg"),
        http("POST", "/v1/classify", {"input": [image], "labels": captions[:2], "template": "a photo of {}"}),
        http("POST", "/v1/similarity", {"images": [image], "texts": captions}),
        http("GET", "/v1/models"),
        http("GET", "/health"),
        http("GET", "/health", query="deep=true"),
        *(http("GET", page) for page in ("/", "/docs", "/openapi.json")),
        http("POST", "/v2/embed", {**cohere, "texts": captions}),
        http("POST", "/embed", {"inputs": captions * 6}),  # so many vectors that orjson writes them
        http("POST", "/v1/multimodalembeddings", {"inputs": [{"content": [{"type": "text", "text": captions[0]}]}]}),
        http("POST", "/vectorize", {"texts": captions, "images": [image["image"]]}),
        *(http("GET", path) for path in ("/meta", "/.well-known/live", "/.well-known/ready", "/ping")),
        http("POST", "/predict", _form(captions[0]), f"multipart/form-data; boundary={BOUNDARY}"),
    ]


def _photo() -> bytes:
    """Draw a JPEG large enough to be decoded at a part of its size, smooth as photographs are."""
    small = np.random.default_rng(3).integers(0, 255, (9, 12, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small, "RGB").resize((1600, 1200), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _form(text: str) -> bytes:
    task = json.dumps({"clip": {"textual": {"modelName": "openclip-lambda/shapes-i18n", "options": {}}}})
    fields = {"entries": task, "text": text}
    return (
        "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{content}\r\n'
            for name, content in fields.items()
        ).encode()
        + f"--{BOUNDARY}--\r\n".encode()
    )


def differences(asked: Any, found: Any, wanted: Any, least: float) -> Iterator[str]:
    """Name what of a response is not as `wanted`: vectors are compared by their cosine, scores by their distance."""
    where = asked.get("rawPath", "a direct Invoke")
    if "statusCode" not in found:
        yield from _compared(where, found, wanted, least)
        return
    if (found["statusCode"], wanted["statusCode"]) not in ((200, 200), (204, 204)):
        yield f"{where}: {found['statusCode']} beside {wanted['statusCode']}: {found['body'][:400]}"
    elif where == "/health":
        return  # a report of its own process; deep, it is 503 where the vectors are not as open_clip's
    elif found["headers"].get("content-type", "").startswith(JSON):
        yield from _compared(where, json.loads(found["body"]), json.loads(wanted["body"]), least)
    elif found["body"] != wanted["body"]:
        yield f"{where}: another body"


def _compared(where: str, found: Any, wanted: Any, least: float) -> Iterator[str]:
    vectors = _vector(found), _vector(wanted)
    if vectors[0] is not None and vectors[1] is not None:
        cosine = float(vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1]))
        if not cosine >= (IN_BYTES if isinstance(found, list) and isinstance(found[0], int) else least):
            yield f"{where}: cosine {cosine:.7f}"
    elif isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
        for key in found.keys() - CHANGES:
            yield from _compared(f"{where} {key}", found[key], wanted[key], least)
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from _compared(f"{where} {number}", one, other, least)
    elif isinstance(found, float) and isinstance(wanted, float):
        if abs(found - wanted) > SCORE:
            yield f"{where}: {found} beside {wanted}"
    elif found != wanted:
        yield f"{where}: {str(found)[:200]} beside {str(wanted)[:200]}"


def _vector(value: Any) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
    """Read 64 numbers, as a list, as a string of it (immich's) or as base64 (openai's); None of anything else."""
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)
    if isinstance(value, str) and len(value) == 344:  # of 256 bytes
        return np.frombuffer(base64.b64decode(value), "<f4").astype(np.float64)
    if isinstance(value, list) and len(value) == 64 and all(isinstance(number, int | float) for number in value):
        return np.array(value, np.float64)
    return None
