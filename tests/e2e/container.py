"""A container held as Lambda holds one: no network, nothing to write on but /tmp, no privileges, its memory."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.engine import EngineError, docker
from tests.local.emulator import INVOKE, Function

USER = "993:990"  # owns nothing in the image
TMP_MB = 512  # Lambda's default, and all that SnapStart allows
# A network of its own has nobody but loopback in it, so the event goes in by `docker exec`.
_SEND = (
    "import sys, urllib.request as u\n"
    f"sys.stdout.buffer.write(u.urlopen('http://127.0.0.1:8080{INVOKE}', sys.stdin.buffer.read(), 120).read())"
)


@contextmanager
def image(context: Path, base: str, name: str) -> Iterator[str]:
    """Build a packaged context on a base image; the image is removed in the end, its layers stay for the next one."""
    docker("build", "--quiet", "--network", "none", "--tag", name, "--build-arg", f"BASE={base}", str(context))
    try:
        yield name
    finally:
        docker("rmi", "--no-prune", name)


@contextmanager
def running(name: str, memory_mb: int, environ: dict[str, str] | None = None) -> Iterator[Function]:
    """Start the image's function under the emulator of its base, and remove it in the end."""
    variables = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb), **(environ or {})}
    container = docker(
        *("run", "--detach", "--network", "none", "--read-only", "--ipc", "none", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--user", USER, "--tmpfs", f"/tmp:size={TMP_MB}m,mode=1777"),
        *("--memory", f"{memory_mb}m", "--memory-swap", f"{memory_mb}m"),
        *(part for item in variables.items() for part in ("--env", "=".join(item))),
        name,
    ).strip()
    try:
        yield Function(functools.partial(_send, container))
    finally:
        docker("rm", "--force", container)


def _send(container: str, event: bytes) -> bytes:
    try:
        return docker("exec", "--interactive", container, "python3", "-c", _SEND, stdin=event).encode()
    except EngineError as error:
        logs = ""
        with suppress(EngineError):
            logs = docker("logs", container)
        raise EngineError(f"{error}\n{logs}") from error
