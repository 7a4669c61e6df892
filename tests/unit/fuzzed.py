"""The shipped code in a process of its own, for the fuzzers: a crash is seen, and its memory is nobody else's.

`python -m tests.unit.fuzzed <bundle>` answers lines of JSON: an event with its response, null with the bytes it holds.
"""

import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.fake_bundle import FakeFunction

ROOT = Path(__file__).parents[2]
MAX_PIXELS = 250_000
FORMATS = ("avif", "heic")  # besides those of every package


class Fuzzed:
    """The other side of that process; one that died at a question is started anew for the next."""

    def __init__(self, bundle_dir: Path) -> None:
        self._bundle_dir = bundle_dir
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.fuzzed", str(self._bundle_dir)],
            cwd=ROOT,
            env={**os.environ, "AWS_LAMBDA_FUNCTION_NAME": "fuzzed"},  # where metrics are written
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return what the function answers to an event."""
        answer: dict[str, Any] = self._ask(event)
        return answer

    def memory(self) -> int:
        """Return the bytes that the process holds, without what it only has not given back yet."""
        return int(self._ask(None))

    def _ask(self, question: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        print(json.dumps(question), file=stdin, flush=True)
        line = stdout.readline()
        if not line:
            status = self._process.wait(60)
            self._start()
            raise AssertionError(f"the process ended with {status} at {question}")
        return json.loads(line)

    def end(self) -> None:
        """End the process, which has nothing more to say."""
        rest, _ = self._process.communicate(timeout=60)
        assert (rest, self._process.returncode) == ("", 0)


@contextmanager
def fuzzed(bundle_dir: Path) -> Iterator[Fuzzed]:
    """Start a process, and end it."""
    function = Fuzzed(bundle_dir)
    try:
        yield function
    finally:
        function.end()


def _resident_bytes() -> int:
    """Return what this process holds in memory, after the garbage is collected and given back."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _main() -> None:
    answers, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    function = FakeFunction(Path(sys.argv[1]), FORMATS, max_image_pixels=MAX_PIXELS)
    engine = function.loader.engine
    for line in sys.stdin:
        event = json.loads(line)
        answer = _resident_bytes() if event is None else function.invoke(event)
        print(json.dumps(answer), file=answers, flush=True)
        engine.text_batches.clear()  # the stand-in remembers its calls
        engine.image_batches.clear()


if __name__ == "__main__":
    _main()
