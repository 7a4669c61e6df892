"""Eight threads call the engine 2,000 times and the function 500: prints which answers one thread does not get."""

import base64
import io
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from handler.app import SERVICE, lambda_handler
from layer.demo import rendering
from layer.demo.captions import LANGUAGES, TEMPLATES, caption

THREADS, ENGINE_CALLS, FUNCTION_CALLS = 8, 2_000, 500

drawn = [rendering.single(5, number) for number in range(16)]
said = [
    caption(scene, language, n % len(TEMPLATES[language]))
    for n, (_, scene) in enumerate(drawn)
    for language in LANGUAGES
]
texts = ["x", *said[:20], "été &amp; “hiver”", "a long text of many words " * 20]
model = SERVICE.model(None)
pixels = np.stack([model.preprocess(image) for image, _ in drawn])


def png(number: int) -> dict[str, str]:
    buffer = io.BytesIO()
    drawn[number][0].save(buffer, "PNG")
    return {"image": base64.b64encode(buffer.getvalue()).decode()}


def embed_texts(some: list[str]) -> bytes:
    ids = model.engine.tokenize(some)
    return ids.tobytes() + model.engine.encode_tokens(ids).tobytes()


def event(body: Any) -> dict[str, Any]:
    context = {"stage": "$default", "http": {"method": "POST", "path": "/v1/embeddings"}}
    headers = {"content-type": "application/json"}
    return {"version": "2.0", "rawPath": "/v1/embeddings", "headers": headers, "requestContext": context, "body": body}


def ask(body: Any) -> bytes:
    answer = lambda_handler(event(json.dumps(body)), None)
    return f"{answer['statusCode']} {answer['body']}".encode()


engine_calls: list[Callable[[], bytes]] = [
    *(lambda n=n, start=start: embed_texts(texts[start : start + n]) for n in (1, 2, 7) for start in (0, 3, 11, 22)),
    *(
        lambda n=n, start=start: model.engine.encode_images(pixels[start : start + n]).tobytes()
        for n in (1, 2, 5)
        for start in (0, 4, 9)
    ),
]
function_calls: list[Callable[[], bytes]] = [
    lambda: ask({"input": texts[:3]}),
    lambda: ask({"input": [png(0)]}),
    lambda: ask({"input": [*(png(number) for number in range(3)), *texts[5:8]], "encoding_format": "base64"}),
    lambda: ask({"input": [texts[-1]]}),
    lambda: ask({"input": ["x", {"image": "bm90IGFuIGltYWdl"}]}),
    lambda: ask({"input": "x", "model": "nobody/knows"}),
]


def differing(calls: list[Callable[[], bytes]], count: int) -> dict[str, int]:
    expected = [call() for call in calls]

    def one(number: int) -> str:
        which = number * 7 % len(calls)
        try:
            return "equal" if calls[which]() == expected[which] else f"call {which} differs"
        except Exception as error:  # noqa: BLE001 - counted
            return f"call {which}: {type(error).__name__}: {error}"[:100]

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(Counter(pool.map(one, range(count))))


print(
    json.dumps({"engine": differing(engine_calls, ENGINE_CALLS), "function": differing(function_calls, FUNCTION_CALLS)})
)
