"""600 mixed requests in one execution environment: prints resident memory after the first 200 and at the end."""

import base64
import io
import json
import random
from pathlib import Path
from typing import Any

from handler.app import lambda_handler
from layer.demo import rendering
from layer.demo.captions import LANGUAGES, TEMPLATES, caption

REQUESTS, SETTLED = 600, 200
WRONG: list[Any] = [{"input": ""}, {"input": [[1, 2]]}, {"input": [{"image": "bm90IGEgcGljdHVyZQ=="}]}, {"model": "?"}]


def image_item(number: int) -> dict[str, str]:
    buffer = io.BytesIO()
    image = rendering.single(5, number)[0]
    image.resize((40 + 37 * (number % 11), 40 + 53 * (number % 7))).save(buffer, ("PNG", "JPEG", "WEBP")[number % 3])
    return {"image": base64.b64encode(buffer.getvalue()).decode()}


def resident() -> int:
    """Resident memory in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1])


drawn = [image_item(number) for number in range(48)]
scenes = [rendering.single(5, number)[1] for number in range(48)]
said = [
    caption(scene, language, n % len(TEMPLATES[language])) for n, scene in enumerate(scenes) for language in LANGUAGES
]
choose = random.Random(1)  # noqa: S311
wrong, settled = 0, 0
for number in range(1, REQUESTS + 1):
    if number % 20 == 0:
        answer = lambda_handler(choose.choice(WRONG), None)
        wrong += "error" in answer
    else:
        some = choose.sample(drawn, choose.choice((0, 0, 1, 1, 2, 8))) + choose.sample(
            said, choose.choice((0, 1, 1, 9))
        )
        answer = lambda_handler({"input": some or ["x"]}, None)
        assert "data" in answer, answer
    if number == SETTLED:
        settled = resident()
print(json.dumps({"settled": settled, "end": resident(), "refused": wrong}))
