"""One fresh process: its first answer, and when it was in which step. `python -m benchmarks.start.child EVENT STARTED`.

EVENT is a file, STARTED the parent's CLOCK_MONOTONIC just before it started this process. Two lines are printed: one as
soon as there is an answer, and the steps, in seconds.
"""

import time

BEGAN = time.monotonic()  # before any other import: until here it was the interpreter's start

import json  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks.start.steps import Span, shares  # noqa: E402
from benchmarks.start.watch import Watch  # noqa: E402


def main() -> None:
    """Start the handler as Lambda does, ask it once, and tell the steps."""
    if len(sys.argv) != 3:
        sys.exit("error: `python -m benchmarks.start_steps` starts this process; run that")
    started = float(sys.argv[2])
    event = json.loads(Path(sys.argv[1]).read_text())
    watch = Watch()
    watch.install()
    first = time.monotonic()
    from handler.app import lambda_handler

    watch.note("handler", first)
    answer = watch.timed("answer", lambda_handler)(event, None)
    last = time.monotonic()
    print("answered", flush=True)
    if answer["statusCode"] != 200:
        sys.exit(f"error: {answer['body']}")
    spans = [*watch.spans, Span(threading.get_ident(), "interpreter", started, BEGAN)]
    print(json.dumps(shares(spans, started, last)))


if __name__ == "__main__":
    main()
