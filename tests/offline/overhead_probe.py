"""Times a caption through lambda_handler, through the engine alone, and a fixed piece of Python's work, in turns.

Prints medians in ms of this thread's processor time, which what else the machine does is no part of.
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
STEPS = 15_000  # of the yardstick, which takes a millisecond where 3 ms are the bound
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
    handled, alone, yardstick = [], [], []
    for _ in range(ROUNDS):
        start = time.thread_time()
        answer = app.lambda_handler(EVENT, None)
        between = time.thread_time()
        engine.encode_tokens(engine.tokenize([CAPTION]))
        end = time.thread_time()
        sum(number * number for number in range(STEPS))
        handled.append(between - start)
        alone.append(end - between)
        yardstick.append(time.thread_time() - end)
assert answer["statusCode"] == 200, answer
over = [whole - part for whole, part in zip(handled, alone, strict=True)]
times = {"engine": alone, "over": over, "yardstick": yardstick}
print(json.dumps({name: 1000 * statistics.median(seconds) for name, seconds in times.items()}))
