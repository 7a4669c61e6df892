"""A file system that fails on purpose: the n-th call of a kind, below one directory, raises what a real one would."""

import builtins
import errno
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

WRITES = ("mkdir", "rename", "replace", "link", "symlink", "unlink", "rmdir", "chmod", "utime", "open", "write")
READS = ("stat", "lstat", "scandir", "listdir", "readlink", "open", "read")
# What each of these errors can come from.
ERRORS: dict[int, tuple[str, ...]] = {
    errno.ENOSPC: ("mkdir", "open", "write", "link", "rename"),
    errno.EDQUOT: ("mkdir", "open", "write"),
    errno.EACCES: ("mkdir", "open", "scandir", "listdir", "stat", "unlink", "rename"),
    errno.EPERM: ("link", "chmod", "utime", "unlink", "rename"),
    errno.EROFS: WRITES,
    errno.EIO: ("read", "write", "stat", "scandir", "open"),
    errno.EMFILE: ("open", "scandir", "listdir"),
    errno.EXDEV: ("link", "rename", "replace"),
    errno.ENAMETOOLONG: ("open", "mkdir", "stat"),
    errno.ENOENT: ("open", "stat", "rename", "unlink"),
    errno.ENOTEMPTY: ("rmdir", "rename"),
    errno.ELOOP: ("open", "stat"),
    errno.EBUSY: ("rename", "rmdir", "unlink"),
    errno.ESTALE: ("stat", "open", "read"),
    errno.ENOTSUP: ("link", "chmod", "utime"),
}


@dataclass
class Fault:
    """Which call fails, counted from 1 over all calls of `kinds`; `lasting` ones fail from then on."""

    kinds: tuple[str, ...]
    nth: int
    error: int | None  # None: Ctrl-C
    lasting: bool
    root: str
    calls: int = 0

    def check(self, kind: str, path: Any) -> None:
        """Raise where it is this call's turn."""
        if kind not in self.kinds or not self._below_root(path):
            return
        self.calls += 1
        if self.calls == self.nth or (self.lasting and self.calls > self.nth):
            if self.error is None:
                if threading.current_thread() is threading.main_thread():  # no other gets it
                    raise KeyboardInterrupt
                return
            if kind in ("read", "write"):
                raise OSError(self.error, os.strerror(self.error))  # the system names no file then
            raise OSError(self.error, os.strerror(self.error), path)

    def _below_root(self, path: Any) -> bool:
        if isinstance(path, int):
            return False
        name = os.fsdecode(path)
        return not name.startswith("/") or name.startswith(self.root)


class _File:
    """An open file whose reads and writes are counted."""

    def __init__(self, file: Any, fault: Fault, path: Any) -> None:
        self.__dict__.update(file=file, fault=fault, path=path)

    def __getattr__(self, name: str) -> Any:
        kind = {"write": "write", "writelines": "write", "read": "read", "readinto": "read", "readline": "read"}.get(
            name
        )
        found = getattr(self.file, name)
        if kind is None:
            return found

        def counted(*arguments: Any) -> Any:
            self.fault.check(kind, self.path)
            return found(*arguments)

        return counted

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.file)


def _failing(fault: Fault, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if arguments:
            fault.check(kind, arguments[0])
        return real(*arguments, **options)

    return call


@contextmanager
def failing(fault: Fault) -> Iterator[None]:
    """Let `fault` happen inside the block."""
    opened = io.open

    def open_counted(path: Any, *arguments: Any, **options: Any) -> Any:
        fault.check("open", path)
        file = opened(path, *arguments, **options)
        return file if isinstance(path, int) or not fault._below_root(path) else _File(file, fault, path)

    with ExitStack() as stack:
        for kind in {*WRITES, *READS} - {"open", "read", "write"}:
            stack.enter_context(patch.object(os, kind, _failing(fault, kind, getattr(os, kind))))
        stack.enter_context(patch.object(io, "open", open_counted))
        stack.enter_context(patch.object(builtins, "open", open_counted))
        stack.enter_context(patch.object(shutil, "_USE_CP_SENDFILE", False, create=True))
        stack.enter_context(patch.object(shutil, "_fastcopy_sendfile", _no_fast_copy, create=True))
        yield


def _no_fast_copy(*_: Any) -> None:
    raise shutil._GiveupOnFastCopy(OSError("not here"))  # type: ignore[attr-defined]


def root_of(path: Path) -> str:
    """Return the directory as `Fault` compares it."""
    return str(path.resolve())
