"""A process that answers each line with a line, both JSON: the shipped handler, or open_clip, without a network."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from layer.bundle import sandbox
from layer.errors import EvaluationError

# A request of a batch of files: what one object may have in the function, for each of the batch, as base64.
_ROOM = {"OPENCLIP_MAX_BODY_BYTES": "1000000000"}

# Torch's threads spin while they wait: beside other work, small batches took ten times as long.
_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}


class Ask(Protocol):
    """Sends one request and returns its answer."""

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raise EvaluationError where the process has ended."""


@contextmanager
def handler(bundle: Path, needs_torch: bool) -> Iterator[Ask]:
    """Run the shipped handler on a bundle; requests are bodies of /v1/embeddings."""
    bare = [] if needs_torch else ["layer.bundle.runtime_only"]
    command = sandbox.command(bundle, ["-m", *bare, "handler.selfcheck", "--requests"])
    with (
        tempfile.TemporaryDirectory(prefix="openclip-") as scratch,
        _started("the shipped handler", command, {**sandbox.environment(bundle, scratch), **_ROOM}) as ask,
    ):
        yield ask


@contextmanager
def open_clip(name: str, pretrained: str | None, hub: Path) -> Iterator[Ask]:
    """Run open_clip itself in fp32, with `hub` as its cache; requests are as `layer.quality.open_clip_side` reads."""
    named = ["--name", name, *(["--pretrained", pretrained] if pretrained else [])]
    command = sandbox.command_with_hub(["-m", "layer.quality.open_clip_side", *named])
    with _started("open_clip", command, {**_PATIENT, **sandbox.environment_with_hub(hub)}) as ask:
        yield ask


@contextmanager
def _started(what: str, command: list[str], environ: dict[str, str]) -> Iterator[Ask]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as told:
        process = subprocess.Popen(
            command,
            cwd=sandbox.ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            encoding="utf-8",
        )

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            try:
                process.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]  # both are pipes
                process.stdin.flush()  # type: ignore[union-attr]
                answer: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            except (OSError, ValueError) as error:
                process.wait()
                told.seek(0)
                run = subprocess.CompletedProcess(command, process.returncode, "", told.read())
                raise EvaluationError(f"{what} ended before it had answered: {sandbox.reason(run)}") from error
            return answer

        try:
            yield ask
        finally:
            process.kill()
            with contextlib.suppress(OSError):  # what was not taken of the last request
                process.communicate()
