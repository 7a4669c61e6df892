"""Times one short caption through lambda_handler and through the engine alone, in turns; prints medians in ms.

A process of its own, in which nothing else runs, and before others where it may: root's processes on Linux.
"""

import contextlib
import io
import json
import os
import statistics
import time

os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "openclip"  # its log lines are written as in Lambda
if hasattr(os, "sched_setscheduler"):
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # and its threads, which are all yet to start

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
over = [1000 * (whole - part) for whole, part in zip(handled, alone, strict=True)]
print(json.dumps({"engine": 1000 * statistics.median(alone), "over": statistics.median(over)}))
