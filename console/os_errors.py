"""Explain errors of the operating system: where, why, and what to do."""

import errno
import os
import re
import shutil
import socket
from types import TracebackType

PLACE = "or name another place (--output, --cache, TMPDIR)"
_FIXES = {
    errno.ENOSPC: f"the disk is full: free space there, {PLACE}",
    errno.EDQUOT: f"the disk quota is used up: free space there, {PLACE}",
    errno.EACCES: f"this user has no permission: change its owner or mode, {PLACE}",
    errno.EPERM: f"the system does not permit it: change its owner or mode, {PLACE}",
    errno.EROFS: f"the file system is read-only: remount it, {PLACE}",
    errno.EIO: f"the disk reports an error: check the disk (dmesg), {PLACE}",
    errno.EMFILE: "too many files are open in this process: raise the limit with `ulimit -n 4096`",
    errno.ENFILE: "too many files are open on this machine: close programs, or raise fs.file-max",
    errno.EXDEV: "source and target are on two file systems: name places on the same one",
    errno.ENAMETOOLONG: "the name is longer than the file system takes: choose a shorter one",
    errno.ENOENT: "it is not there: check the path",
    errno.ENOTDIR: "a part of the path is a file, not a directory: check the path",
    errno.EISDIR: "it is a directory, and a file is needed: name a file",
    errno.EEXIST: "it is there already: remove it, or name another one",
    errno.ENOTEMPTY: "the directory is not empty: remove what is in it, or name another one",
    errno.ELOOP: "its links lead in a circle: remove them, or name another path",
    errno.EBUSY: "another program uses it: end that one, or name another place",
    errno.ETXTBSY: "another program runs it: end that one",
    errno.ESTALE: "the network file system lost it: mount it again",
    errno.EFBIG: "the file is larger than the file system takes: name another place",
    errno.EMLINK: "the file has as many links as the file system takes: name another place",
    errno.EINVAL: "the system does not take such a name or operation there: name another place",
    errno.ENOTSUP: "the file system cannot do that: name another place",
    errno.ENOMEM: "the memory of this machine is used up: close other programs, or take a smaller model",
    errno.EAGAIN: "the machine has no place for another process: close programs, or raise `ulimit -u`",
    errno.EBADF: "the stream is closed: run the command without closing standard output",
    errno.ENXIO: "nothing reads at its other end: name a file",
    errno.EINTR: "it was interrupted: run the command again",
    errno.ETIMEDOUT: "no response came in time: check the network, then run the command again",
    errno.ECONNREFUSED: "nothing listens there: check the address and the port",
    errno.ECONNRESET: "the connection broke: run the command again",
    errno.EADDRINUSE: "another program listens there already: end it, or choose another --port (0 takes a free one)",
    errno.EADDRNOTAVAIL: "this machine has no such address: check --host",
    errno.ENETUNREACH: "the network cannot be reached: check the connection",
    errno.EHOSTUNREACH: "the host cannot be reached: check the connection and the address",
}
_OF_THE_NETWORK = {
    *(errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EADDRINUSE, errno.EADDRNOTAVAIL),
    *(errno.ENETUNREACH, errno.EHOSTUNREACH),
}
_CODE = re.compile(r"\[Errno (\d+)\]")  # how Python writes an OSError
_STREAMS = {0: "standard input", 1: "standard output", 2: "standard error"}


def explain(error: OSError) -> str:
    """Return the message of an OSError: the place, the system's words, and the fix."""
    if isinstance(error, socket.gaierror):
        return f"the host name is not known ({error.strerror}): check --host, or the address"
    if isinstance(error, shutil.Error):
        error = _first(error)
    if error.errno == errno.ENOENT and _working_directory_is_gone():
        return "the working directory is gone: change to one that is there, and run the command again"
    return f"{place(error) or ('the address' if error.errno in _OF_THE_NETWORK else 'a file')}: {reason(error)}"


def _first(error: shutil.Error) -> OSError:
    """Return the first reason of a shutil.Error, which lists every file that could not be copied."""
    try:
        target, said = error.args[0][0][1:]
        code = int(_CODE.match(said)[1])  # type: ignore[index]  # None is told as all else is
    except (TypeError, ValueError, IndexError):
        return error
    return OSError(code, os.strerror(code), str(target))


def reason(error: OSError) -> str:
    """Return the system's words and the fix, for a message that names the place itself."""
    fix = _FIXES.get(error.errno or 0, "check the path and its permissions, then run the command again")
    return f"{error.strerror or str(error) or type(error).__name__}: {fix}"


def place(error: OSError) -> str | None:
    """Return the path of the error. An error of a read or a write has none: then it is that of the open file."""
    if error.filename is not None:
        names = (error.filename, error.filename2)
        return " -> ".join(_shown(name) for name in names if name is not None)
    return _file_at_hand(error.__traceback__)


def _shown(name: object) -> str:
    if isinstance(name, int):
        return _STREAMS.get(name, f"file descriptor {name}")
    shown = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
    return shown.encode("utf-8", "backslashreplace").decode()


def _file_at_hand(trace: TracebackType | None) -> str | None:
    """Return the path that the innermost function worked on: an open file's, or one that it was given."""
    found: str | None = None
    while trace is not None:  # the innermost frame comes last
        for value in trace.tb_frame.f_locals.values():
            name = getattr(value, "name", None) if hasattr(value, "fileno") else value
            if isinstance(name, os.PathLike) or (isinstance(name, str) and value is not name):
                found = _shown(name)
        trace = trace.tb_next
    return found


def _working_directory_is_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - what Path.cwd calls
    except FileNotFoundError:
        return True
    return False
