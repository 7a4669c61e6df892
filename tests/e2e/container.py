"""A container held as Lambda holds one: no network, nothing to write on but /tmp, no privileges, its memory."""

import functools
import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from tests.e2e.engine import EngineError, docker
from tests.local.emulator import INVOKE, Function
from tests.patience import SECONDS

USER = "993:990"  # owns nothing in the image
TMP_MB = 512  # Lambda's default, and all that SnapStart allows
# A network of its own has nobody but loopback in it, so the event goes in by `docker exec`.
# It comes before the emulator listens, where that has not had its turn yet.
_SEND = f"""
import sys, time, urllib.error, urllib.request
event, end = sys.stdin.buffer.read(), time.monotonic() + {SECONDS}
while True:
    try:
        sys.stdout.buffer.write(urllib.request.urlopen("http://127.0.0.1:8080{INVOKE}", event, {SECONDS}).read())
        break
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > end:
            raise
        time.sleep(0.1)
"""


def unzip(archives: Sequence[Path], target: Path) -> Path:
    """Unpack zips into one directory as Lambda does: with the modes that they hold, one over the other."""
    for archive in archives:
        with zipfile.ZipFile(archive) as members:
            for member in members.infolist():
                path = Path(members.extract(member, target))
                path.chmod(member.external_attr >> 16)
    return target


@contextmanager
def image(context: Path, base: str, name: str) -> Iterator[str]:
    """Build a packaged context on a base image; the image is removed in the end, its layers stay for the next one."""
    docker("build", "--quiet", "--network", "none", "--tag", name, "--build-arg", f"BASE={base}", str(context))
    try:
        yield name
    finally:
        docker("rmi", "--no-prune", name)


@contextmanager
def running(
    name: str, memory_mb: int, environ: dict[str, str] | None = None, zips: Mapping[str, Path] | None = None
) -> Iterator[Function]:
    """Start an image's function under the emulator of its base, and remove it in the end.

    With `zips`, directories by the place where they stand, it is a function of the zip kind on the bare base image.
    """
    variables = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb), **(environ or {})}
    container = docker(
        *("run", "--detach", "--network", "none", "--read-only", "--ipc", "none", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--user", USER, "--tmpfs", f"/tmp:size={TMP_MB}m,mode=1777"),
        *("--memory", f"{memory_mb}m", "--memory-swap", f"{memory_mb}m"),
        *(part for item in variables.items() for part in ("--env", "=".join(item))),
        *(part for place, folder in (zips or {}).items() for part in ("--volume", f"{folder}:{place}:ro")),
        name,
        *(("handler.app.lambda_handler",) if zips else ()),
    ).strip()
    try:
        yield Function(functools.partial(_send, container))
    finally:
        docker("rm", "--force", container)


def layers(name: str) -> dict[str, int]:
    """Return the image's layers: the digest of each, with the bytes of its archive, uncompressed."""
    with tempfile.TemporaryFile() as stream:
        subprocess.run(["docker", "save", name], stdout=stream, check=True)
        stream.seek(0)
        with tarfile.open(fileobj=stream) as saved:
            [image] = json.load(_member(saved, "manifest.json"))
            names = image["Layers"]
            return {_digest(saved, name): saved.getmember(name).size for name in names}


def _digest(saved: tarfile.TarFile, name: str) -> str:
    with _member(saved, name) as layer:
        return hashlib.file_digest(layer, "sha256").hexdigest()


def _member(saved: tarfile.TarFile, name: str) -> io.BufferedReader:
    return cast(io.BufferedReader, saved.extractfile(name))


def bytes_over(name: str, base: str) -> int:
    """Return how many bytes of files an image adds to its base."""
    ours, below = (int(docker("image", "inspect", "--format", "{{.Size}}", image)) for image in (name, base))
    return ours - below


def newest_glibc(library: Path) -> int:
    """Return the newest 2.x of glibc whose symbols a library asks for; 0 where it asks for none."""
    return max((int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", library.read_bytes())), default=0)


def _send(container: str, event: bytes) -> bytes:
    try:
        return docker("exec", "--interactive", container, "python3", "-c", _SEND, stdin=event).encode()
    except EngineError as error:
        logs = ""
        with suppress(EngineError):
            logs = docker("logs", container)
        raise EngineError(f"{error}\n{logs}") from error
