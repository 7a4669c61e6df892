"""A cold start as Lambda sees it: import the handler, then embed a caption and an image. Prints nothing of its own."""

import base64
import io
import sys

from handler.app import lambda_handler

from PIL import Image  # isort: skip - after the handler, as in Lambda

buffer = io.BytesIO()
Image.new("RGB", (9, 7), "red").save(buffer, "PNG")
answer = lambda_handler({"input": ["été", {"image": base64.b64encode(buffer.getvalue()).decode()}]}, None)
sys.exit(0 if len(answer["data"]) == 2 else 1)
