"""Run a module as Lambda would: no network, no home, the bundle read-only. Uses namespaces if the system has them."""

import functools
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from layer import errors
from layer.errors import StorageError
from layer.files import disk_errors

ROOT = Path(__file__).parents[2]
GUARD = Path(__file__).with_name("no_network.py")
# $1 is the bundle. It is mounted read-only, since mode bits do not stop root. A bind mount needs a remount for that.
_ENTER = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && mount -t tmpfs -o ro tmpfs /dev/shm && shift && '
_NO_HOME = "/proc/openclip-no-home"  # not even root can create a directory below /proc


@functools.cache
def namespaces() -> tuple[str, ...]:
    """Return the command that enters new network and mount namespaces; empty if the system refuses them."""
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

    In namespaces, the bundle and /dev/shm are read-only as well. Without them, an audit hook refuses every socket.
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
    """Return the complete environment of a process that runs on a bundle; it may write into `scratch` only."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "HOME": _NO_HOME,
        "OPENCLIP_BUNDLE_DIR": str(bundle.resolve()),
        "OPENCLIP_CACHE_DIR": scratch,
        "OPENCLIP_EXTENSIONS": "none",  # the bundle is checked without a handler_ext that may be beside the handler
    }


def command(bundle: Path, arguments: list[str]) -> list[str]:
    """Return the whole command line that `run` starts."""
    if enter := namespaces():
        inside = _ENTER + 'exec "$@"'
        return [*enter, "sh", "-c", inside, "sandbox", str(bundle.resolve()), sys.executable, *arguments]
    return [sys.executable, str(GUARD), *arguments]


def run_with_hub(hub: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `python <arguments>` without network, in this environment, but with `hub` as the libraries' cache.

    Standard input is empty: transformers would ask on the terminal whether to run a repository's own code.
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
    """Return this environment with `hub` as the libraries' cache, and the libraries offline."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_CACHE": str(hub.resolve())}
    return {**os.environ, "PYTHONPATH": str(ROOT), **offline}


def reason(run: subprocess.CompletedProcess[str], *written: Path) -> str:
    """Return the last line that a failed process wrote, which is the exception if it wrote a traceback.

    Raises StorageError if the process failed at a disk; `written` are the folders that it wrote into.
    """
    for folder in (*written, Path(tempfile.gettempdir())):
        if found := disk_errors.disk_reason(run.stderr, folder):
            raise StorageError(f"the build stopped at the disk: {found}. Make room there, or name another directory")
    lines = run.stderr.strip().splitlines()
    if run.returncode == -signal.SIGKILL:
        return f"it was killed by signal {-run.returncode}, as a system does that runs out of memory"
    if run.returncode < 0:  # a library's last words may say why it ended the process
        return ": ".join([f"it crashed with signal {-run.returncode} ({_name(-run.returncode)})", *lines[-1:]])
    return lines[-1] if lines else f"exit status {run.returncode}"


def _name(number: int) -> str:
    return signal.strsignal(number) or "without a name"


def own_message(reason: str) -> str | None:
    """Return the message of one of the builder's own errors, which states the fix; None for any other reason."""
    found = re.fullmatch(r"error: (\w+): (.+)", reason)  # as console.run.run_step prints it
    kind = getattr(errors, found.group(1), None) if found else None
    return found.group(2) if found and isinstance(kind, type) and issubclass(kind, errors.BuildError) else None
