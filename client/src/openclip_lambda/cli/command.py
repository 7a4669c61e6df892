"""The one place where what stops a command becomes one message and an exit status."""

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable

from openclip_lambda.errors import ClientError
from openclip_lambda.os_errors import reason

DEBUG = "OPENCLIP_DEBUG"
# Exit statuses; with SOME, not all of the inputs have a result. 70 is EX_SOFTWARE of sysexits.h.
FAILED, SOME, INTERRUPTED, DEFECT = 1, 3, 128 + signal.SIGINT, 70
PIPE_CLOSED = 128 + 13  # SIGPIPE, which Windows does not have


def run(command: Callable[[], int]) -> int:
    """Run a command and return its exit status; nothing but SystemExit leaves this function.

    A ClientError, and a condition of the machine, is one line with its fix. Anything else is a defect of the command:
    its traceback goes into a file, or to stderr where OPENCLIP_DEBUG is set, and the status is 70.
    """
    _prepare_streams()
    try:
        try:
            return command()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        _say("stopped")
        return INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()  # `... | head` has read what it wanted
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the last place that can tell it
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        message = _expected(error)
        _say(f"error: {message or _defect(error)}")
        if isinstance(error, OSError):
            _discard_stdout()  # it may be what failed, and Python would try it again at its end
        return FAILED if message else DEFECT


def _expected(error: Exception) -> str | None:
    """Return the message of what can happen to a sound command; None for a defect."""
    if isinstance(error, ClientError):
        return str(error)
    if isinstance(error, OSError):
        place = "standard output or a file" if error.filename is None else os.fsdecode(str(error.filename))
        return f"{place}: {reason(error)}"
    if isinstance(error, MemoryError):
        return "the memory of this machine is used up: close other programs, or lower --batch and --jobs"
    if isinstance(error, ImportError):
        return f"{error.name or 'a package'} cannot be imported ({error}): install openclip-lambda again"
    if isinstance(error, UnicodeError):
        return f"a name or a text cannot be read or written as UTF-8 ({error}): rename or re-encode it"
    return None


def _defect(error: Exception) -> str:
    where = "the traceback is above" if os.environ.get(DEBUG) else _keep_traceback(error)
    told = str(error).strip().partition("\n")[0]
    return f"a defect of this program, {type(error).__name__}: {told}: please report it; {where}"


def _keep_traceback(error: Exception) -> str:
    try:
        number, name = tempfile.mkstemp(prefix="openclip-", suffix=".log", text=True)
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123 - a descriptor
            traceback.print_exception(error, file=stream)
    except OSError:
        return f"set {DEBUG}=1 to see the traceback"
    return f"its traceback is in {name}"


def _say(message: str) -> None:
    message = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in message)
    with contextlib.suppress(OSError, ValueError):  # nobody can be told that stderr is closed
        print(message, file=sys.stderr, flush=True)


def _prepare_streams() -> None:
    """Let no closed stream and no terminal's encoding fail the command: unknown letters are written as escapes."""
    if sys.stdout is None:  # closed by the caller, as `>&-` does
        os.open(os.devnull, os.O_WRONLY)  # or the next file that is opened would be the standard output of others
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _discard_stdout() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
