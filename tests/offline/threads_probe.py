"""Embeds images and texts on the processors that this process may use; prints how many threads did the work."""

import base64
import io
import json
import os
import sys
import time
from pathlib import Path

os.sched_setaffinity(0, range(int(sys.argv[1])))

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


request = {"input": [*(png(number) for number in range(16)), *(f"a caption number {n}" for n in range(16))]}
lambda_handler(request, None)
before = ticks()
for _ in range(int(sys.argv[2])):
    lambda_handler(request, None)
time.sleep(0.2)  # a thread that decoded and ended is still listed for a moment
spent = [after - before.get(thread, 0) for thread, after in ticks().items()]
print(json.dumps({"seconds": sum(spent) / 100, "busy": sum(1 for one in spent if one > 0.1 * sum(spent))}))
