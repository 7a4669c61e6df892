"""Run a module as Lambda would: no network, the bundle read-only, no home. By namespaces where the system has them."""

import functools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from layer import errors
from layer.errors import StorageError
from layer.files import disk_errors

ROOT = Path(__file__).parents[2]
GUARD = Path(__file__).with_name("no_network.py")
# $1 is the bundle. A bind mount is read-only only after a remount, and root writes through mode bits, not through that.
_ENTER = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && mount -t tmpfs -o ro tmpfs /dev/shm && shift && '
_NO_HOME = "/proc/openclip-no-home"  # nothing can be made below /proc, not even by root


@functools.cache
def namespaces() -> tuple[str, ...]:
    """Return the command that enters new network and mount namespaces here; empty where the system refuses."""
    for command in (("unshare", "--net", "--mount"), ("unshare", "--map-root-user", "--net", "--mount")):
        try:
            probe = subprocess.run(
                [*command, "sh", "-c", _ENTER + "true", "probe", tempfile.gettempdir()],
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:  # no unshare: macOS
            return ()
        if probe.returncode == 0:
            return command
    return ()


def run(bundle: Path, arguments: list[str], environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python <arguments>` on a bundle without network; stdout and stderr are captured as text.

    In namespaces the bundle is read-only and /dev/shm is gone too. Without them an audit hook refuses every socket.
    """
    with tempfile.TemporaryDirectory(prefix="openclip-") as scratch:
        return subprocess.run(
            command(bundle, arguments),
            cwd=ROOT,
            env={**environment(bundle, scratch), **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
        )


def environment(bundle: Path, scratch: str) -> dict[str, str]:
    """Return the whole environment of a process that runs on a bundle; `scratch` is what it may write."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "HOME": _NO_HOME,
        "OPENCLIP_BUNDLE_DIR": str(bundle.resolve()),
        "OPENCLIP_CACHE_DIR": scratch,
        "OPENCLIP_EXTENSIONS": "none",  # a bundle is checked as it is, whatever lies beside the handler
    }


def command(bundle: Path, arguments: list[str]) -> list[str]:
    """Return the whole command line that `run` starts."""
    if enter := namespaces():
        inside = _ENTER + 'exec "$@"'
        return [*enter, "sh", "-c", inside, "sandbox", str(bundle.resolve()), sys.executable, *arguments]
    return [sys.executable, str(GUARD), *arguments]


def run_with_hub(hub: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `python <arguments>` without network, with `hub` as the libraries' cache, in this environment otherwise.

    Nobody is asked anything either: transformers would ask on the terminal whether to run a repository's own code.
    """
    return subprocess.run(
        command_with_hub(arguments),
        cwd=ROOT,
        env=environment_with_hub(hub),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def command_with_hub(arguments: list[str]) -> list[str]:
    """Return the whole command line that `run_with_hub` starts."""
    return [*namespaces(), sys.executable, *arguments] if namespaces() else [sys.executable, str(GUARD), *arguments]


def environment_with_hub(hub: Path) -> dict[str, str]:
    """Return this environment with `hub` as the libraries' cache, and nobody to be asked."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_CACHE": str(hub.resolve())}
    return {**os.environ, "PYTHONPATH": str(ROOT), **offline}


def reason(run: subprocess.CompletedProcess[str], *written: Path) -> str:
    """Return the last line that a failed process wrote: of a traceback, the exception.

    Raises StorageError where the process failed at a disk: `written` are the folders that it wrote into.
    """
    for folder in (*written, Path(tempfile.gettempdir())):
        if found := disk_errors.disk_reason(run.stderr, folder):
            raise StorageError(f"the build stopped at the disk: {found}. Make room there, or name another directory")
    if run.returncode < 0:
        return f"it was killed by signal {-run.returncode}, as a system does that runs out of memory"
    lines = run.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {run.returncode}"


def own_message(reason: str) -> str | None:
    """Return the message of an error of the builder's own, which states the fix itself; None of any other reason."""
    found = re.fullmatch(r"error: (\w+): (.+)", reason)  # as console.run.run_step tells it
    kind = getattr(errors, found.group(1), None) if found else None
    return found.group(2) if found and isinstance(kind, type) and issubclass(kind, errors.BuildError) else None
