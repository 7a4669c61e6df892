"""Embeds images, then texts, on the processors that this process may use; prints how many threads did the work."""

import base64
import io
import json
import os
import sys
import time
from pathlib import Path

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])  # a container may have others than 0 and 1

from handler.app import lambda_handler  # noqa: E402 - only now, as Lambda limits a function before it starts
from layer.demo import rendering  # noqa: E402


def png(number: int) -> dict[str, str]:
    buffer = io.BytesIO()
    rendering.single(3, number)[0].resize((640, 480)).save(buffer, "PNG")
    return {"image": base64.b64encode(buffer.getvalue()).decode()}


def ticks() -> dict[str, int]:
    """Processor time of each thread so far, in hundredths of a second."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it ended after it was listed
            continue
        found[task.name] = int(fields[11]) + int(fields[12])
    return found


def busy(request: dict[str, object], times: int) -> tuple[float, int]:
    """Return the seconds that were computed, and how many threads did over a tenth of it."""
    lambda_handler(request, None)
    before = ticks()
    for _ in range(times):
        lambda_handler(request, None)
    time.sleep(0.2)  # a thread that decoded and ended is still listed for a moment
    spent = [after - before.get(thread, 0) for thread, after in ticks().items()]
    return sum(spent) / 100, sum(1 for one in spent if one > 0.1 * sum(spent))


# Apart: each tower has threads of its own, and the two never compute at the same time.
times = int(sys.argv[2])
images = busy({"input": [png(number) for number in range(16)]}, times)
texts = busy({"input": [f"a caption number {number}" for number in range(16)]}, 10 * times)
print(json.dumps({"seconds": min(images[0], texts[0]), "busy": max(images[1], texts[1])}))
