"""The one place where what stops a command becomes one message and an exit status."""

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from console.os_errors import explain
from console.preflight import INTERRUPTED, STOPPED, package_problem, stop_at_once

DEBUG = "OPENCLIP_DEBUG"
FAILED, DEFECT = 1, 70  # 70 is sysexits.h's EX_SOFTWARE
PIPE_CLOSED = 128 + signal.SIGPIPE


def run(command: Callable[[], int | None], told: tuple[type[Exception], ...] = (), stopped: str = STOPPED) -> int:
    """Run a command and return its exit status: None is 0. Nothing but SystemExit leaves this function.

    `told` are the errors whose message says all; `stopped` is said after Ctrl-C. A condition of the machine (disk,
    rights, memory, a package) is told with its fix. Anything else is a defect of the command: its traceback goes into a
    file, or to stderr where OPENCLIP_DEBUG is set, and the status is 70.
    """
    _prepare_streams()
    if signal.getsignal(signal.SIGINT) is stop_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            status = command()
        finally:
            _flush()
    except BrokenPipeError as error:
        if error.filename is not None:
            return _fail(explain(error), error)
        _discard_stdout()  # `... | head` has read what it wanted
        return PIPE_CLOSED
    except KeyboardInterrupt:
        _say(stopped)
        # Where the signal came while Python ran code that is text, as a dataclass is made by, `python -m` ends by the
        # signal and not with the status, unless it runs another text.
        eval("None")  # noqa: S307 - nobody's input
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place that can tell it
        if not isinstance(error, told):
            return _fail_unforeseen(error)
        return _fail(str(error), error)
    return status or 0


def run_step(command: Callable[[], int | None]) -> int:
    """Run a command that another one starts as a process: every error is the last line of stderr, with status 1.

    The command that started it says what to do, so nothing is a defect here.
    """

    def step() -> int | None:
        try:
            return command()
        except (OSError, ImportError, MemoryError):
            raise
        except Exception as error:
            raise _StepError(f"{type(error).__name__}: {error}") from error

    return run(step, (_StepError,))


class _StepError(Exception):
    """The reason why a step ended, with the name of the error's class."""


def _fail_unforeseen(error: Exception) -> int:
    if isinstance(error, OSError):
        return _fail(explain(error), error)
    if isinstance(error, MemoryError):
        return _fail("the memory of this machine is used up: close other programs, or take a smaller model", error)
    if isinstance(error, ImportError):
        return _fail(_explain_import(error), error)
    if isinstance(error, RecursionError):
        return _fail("a file is nested too deeply: check the input files", error)
    if isinstance(error, UnicodeError):
        return _fail(f"a name or a text cannot be read or written as UTF-8 ({error}): rename or re-encode it", error)
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
        where = "the traceback is above"
    else:
        where = _keep_traceback(error)
    reason = str(error).strip().partition("\n")[0]
    _say(f"error: a defect of this program, {type(error).__name__}: {reason}: please report it; {where}")
    return DEFECT


def _fail(message: str, error: Exception) -> int:
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    _say(f"error: {message}")
    if isinstance(error, OSError):
        with contextlib.suppress(OSError):
            _flush()
            return FAILED
        _discard_stdout()  # it is what failed, and Python would try it again at its end
    return FAILED


def _explain_import(error: ImportError) -> str:
    name = (error.name or "").partition(".")[0]
    if "failed to map segment" in str(error) or "Cannot allocate memory" in str(error):
        return f"the memory of this machine is used up ({error}): close other programs, or raise `ulimit -v`"
    whole = isinstance(error, ModuleNotFoundError) or "cannot import name" in str(error)  # not of a part, as _C is
    if name and whole and (problem := package_problem((name,))):
        return problem
    return f"{name or 'a package'} cannot be imported ({error}): install it anew with `make clean venv`"


def _keep_traceback(error: Exception) -> str:
    try:
        number, name = tempfile.mkstemp(prefix="openclip-", suffix=".log", text=True)
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123 - a descriptor
            traceback.print_exception(error, file=stream)
    except OSError:
        return f"set {DEBUG}=1 to see the traceback"
    return f"its traceback is in {Path(name)}"


def _say(message: str) -> None:
    message = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in message)
    with contextlib.suppress(OSError, ValueError):  # nobody can be told that stderr is closed
        print(message, file=sys.stderr, flush=True)


def _prepare_streams() -> None:
    """Let no closed stream and no terminal's encoding fail the command: unknown letters are written as escapes."""
    if sys.stdout is None:  # closed by the caller, as `>&-` does: print says nothing then
        os.open(os.devnull, os.O_WRONLY)  # or the next file that is opened would be the standard output of others
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _discard_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
