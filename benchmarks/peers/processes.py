"""A contender's process, seen from its parent: one line per question; if it dies or hangs, the reason is reported."""

import json
import os
import re
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

from benchmarks import ROOT
from benchmarks.child_environ import child_environ
from benchmarks.peers.process import COMMAND

RAISED = re.compile(r"[\w.]+(Error|Exception|Interrupt|Exit)\b")  # the line of a traceback that names it
PATIENCE = 240  # seconds for one answer: the slowest takes a tenth of it on two processors


class ContenderError(Exception):
    """A contender ended or hung: the message is its reason, in one line. The others go on."""


class Process:
    """One running contender; `first` is what it told of its start."""

    def __init__(self, running: "subprocess.Popen[str]", errors: IO[bytes], patience: float) -> None:
        self._running, self._errors, self._patience = running, errors, patience
        self.first = self._answer()

    def ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Send a line; returns the answer. Raises ContenderError if there is none."""
        assert self._running.stdin is not None  # noqa: S101
        try:
            self._running.stdin.write(json.dumps(asked) + "\n")
            self._running.stdin.flush()
        except BrokenPipeError:
            raise ContenderError(self._reason()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        out = self._running.stdout
        assert out is not None  # noqa: S101
        # It answers a line to a line: nothing waits in the buffer of text when this one is asked for.
        if not select.select([out], [], [], self._patience)[0]:
            raise ContenderError(f"it did not answer within {self._patience:.0f} seconds")
        line = out.readline()
        if not line:
            raise ContenderError(self._reason())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _reason(self) -> str:
        """Return the exception that it wrote to stderr, or its last line, or the signal that ended it."""
        status = self._running.wait(10)
        if status < 0:
            name = signal.Signals(-status).name
            return f"ended by {name}" + (": is there enough memory?" if name == "SIGKILL" else "")
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        raised = [" ".join(lines[at : at + 2]) for at, line in enumerate(lines) if RAISED.match(line)]
        return [f"ended with status {status}", *lines[-1:], *raised[-1:]][-1][:300]


@contextmanager
def running(python: str, given: Mapping[str, Any], patience: float = PATIENCE) -> Iterator[Process]:
    """Start a contender, and end it afterwards. Raises ContenderError where it does not start.

    With OPENCLIP_DEBUG=1 it writes its warnings and errors to the terminal, and its reason is not kept.
    """
    debug = "OPENCLIP_DEBUG" in os.environ
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory(prefix="openclip-bench-") as scratch:
        try:
            process = subprocess.Popen(
                [python, "-c", COMMAND, json.dumps(given)],
                env={**child_environ(), "SCRATCH": scratch},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if debug else errors,
                text=True,
            )
        except FileNotFoundError:
            raise ContenderError(f"there is no {python}: its environment could not be made") from None
        with process:
            try:
                yield Process(process, errors, patience)
            finally:
                process.kill()
                with suppress(BrokenPipeError):
                    process.stdin.close()  # type: ignore[union-attr]
