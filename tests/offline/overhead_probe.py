"""Times one short caption through lambda_handler and through the engine alone, in turns; prints both medians in ms.

A process of its own, in which nothing else runs.
"""

import contextlib
import io
import json
import os
import statistics
import time

os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "openclip"  # its log lines are written as in Lambda

from handler import app

ROUNDS = 300
CAPTION = "a photo of a red circle"
EVENT = {
    "version": "2.0",
    "rawPath": "/v1/embeddings",
    "rawQueryString": "",
    "headers": {"content-type": "application/json", "accept": "*/*", "user-agent": "test"},
    "requestContext": {"http": {"method": "POST", "path": "/v1/embeddings"}, "stage": "$default"},
    "body": json.dumps({"input": CAPTION, "encoding_format": "base64"}),
    "isBase64Encoded": False,
}

with contextlib.redirect_stdout(io.StringIO()):
    engine = app.SERVICE.model(None).engine
    handled, alone = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        answer = app.lambda_handler(EVENT, None)
        between = time.perf_counter()
        engine.encode_tokens(engine.tokenize([CAPTION]))
        handled.append(between - start)
        alone.append(time.perf_counter() - between)
assert answer["statusCode"] == 200, answer
print(json.dumps({"handler": 1000 * statistics.median(handled), "engine": 1000 * statistics.median(alone)}))
