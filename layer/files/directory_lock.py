"""One process at a time in a directory, by a lock file that says who holds it.

The kernel gives a lock back when its process ends, however it ends. Where a file system has no such locks (some
network file systems), the lock is a file that is made and removed; one left by a process that is gone is taken over.
"""

import errno
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from layer.errors import HeldError

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` (its directory is made); `what` it protects, for the message of who comes second.

    Raises HeldError naming the process, the host and since when, or OSError where the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        raise HeldError(f"{path}, the lock of {what}, is a link: remove it")
    stream = _locked(path, what)
    if stream is None:
        with _by_file(path, what):
            yield
        return
    with stream:
        try:
            _sign(stream)
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, what: str) -> IO[str] | None:
    """Take the kernel's lock on the file that is at `path`; None where the file system has none."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        stream = open(descriptor, "r+", encoding="utf-8", errors="replace")  # noqa: SIM115, PTH123 - held by the caller
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                return stream
        except BlockingIOError:
            raise _in_use(_holder(stream.read()), path, what) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            print(
                f"note: the file system of {path.parent} has no locks ({error.strerror}): a lock file takes their "
                "place, which cannot tell whether a build on another machine has ended",
                file=sys.stderr,
            )
            return None
        stream.close()  # its holder has ended, and has removed the file, since it was opened


@contextmanager
def _by_file(path: Path, what: str) -> Iterator[None]:
    own = path.with_name(f"{path.name}.process")
    for last in (False, True):
        try:
            stream = own.open("x", encoding="utf-8")
            break
        except FileExistsError:
            holder = _holder(own.read_text(encoding="utf-8", errors="replace"))
            if last or not _is_gone(holder):
                raise _in_use(holder, own, what, "; if that process is gone, remove it") from None
            own.unlink(missing_ok=True)
    with stream:
        _sign(stream)
    try:
        yield
    finally:
        own.unlink(missing_ok=True)


def _sign(stream: IO[str]) -> None:
    stream.seek(0)
    stream.truncate()
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    started = getattr(sys.modules["__main__"], "__spec__", None)  # what `python -m` runs
    module = started.name.removesuffix(".__main__") if started else "layer"
    command = " ".join(["python -m", module, *sys.argv[1:]])[:200]
    json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command}, stream)
    stream.flush()


def _holder(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _in_use(holder: dict[str, Any], path: Path, what: str, hint: str = "") -> HeldError:
    shown = {key: str(value) if str(value).isprintable() else "?" for key, value in holder.items()}
    who = (
        "process {pid} on {host} since {since}".format(**shown)
        if {"pid", "host", "since"} <= set(shown)
        else "another process"
    )
    command = f" ({shown['command']})" if shown.get("command") else ""
    return HeldError(
        f"{what} is in use by {who}{command}: wait for it to end, or name another directory; the lock is {path}{hint}"
    )


def _is_gone(holder: dict[str, Any]) -> bool:
    """Tell whether a lock file's process has ended: known of this machine alone. Half a file is a killed writer's."""
    if not holder:
        return True
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
