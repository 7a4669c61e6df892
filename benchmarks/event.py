"""The request that the benchmarks send, as a Function URL sends it. It imports nothing that a cold start would pay."""

import json
from collections.abc import Sequence
from typing import Any


def embeddings(images: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """Return the event that asks for the embeddings of images in base64, then of texts."""
    return {
        "version": "2.0",
        "rawPath": "/v1/embeddings",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/v1/embeddings"}},
        "body": json.dumps({"input": [*({"image": image} for image in images), *texts]}),
        "isBase64Encoded": False,
    }
