"""Ctrl-C, a kill and a closed terminal end the measuring, and never the destroying."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping:
    """The first signal raises KeyboardInterrupt. Later signals, and signals while `held`, only print a line."""

    def __init__(self) -> None:
        self.held = False
        self.stopped = False

    def hold(self) -> None:
        """Stop raising: what follows must run to its end."""
        self.held = True

    def release(self) -> None:
        """Raise for a signal that came meanwhile; the next one raises again."""
        self.held = False
        if self.stopped:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Within this block, defer signals: an invocation that is left alone writes logs for a while."""
        self.hold()
        try:
            yield
        finally:
            self.release()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        first, self.stopped = not self.stopped, True
        if self.held or not first:
            words = f"{signal.Signals(number).name}: stopping; what was deployed is destroyed before the end\n"
            with contextlib.suppress(OSError):
                os.write(2, words.encode())  # print may be what was interrupted
            return
        self.hold()
        raise KeyboardInterrupt

    def say(self, message: str) -> None:
        """Print a line. A closed terminal or pipe ends the measuring, and is no reason not to destroy."""
        try:
            print(message, flush=True)
        except (OSError, ValueError):
            if not self.held:
                raise
            with contextlib.suppress(OSError, ValueError):
                print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def stopping(ends_process: bool = False) -> Iterator[Stopping]:
    """Install Stopping as the signals' handler, and the previous handlers at the end.

    Where the process ends after it, later signals are ignored once one has come: a closed terminal sends two, and the
    second would end the process by a signal, and not with the status of an interruption.
    """
    state = Stopping()
    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # as `nohup` has it
    before: dict[signal.Signals, Any] = {number: signal.signal(number, state.handle) for number in heard}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ends_process and state.stopped else handler)
