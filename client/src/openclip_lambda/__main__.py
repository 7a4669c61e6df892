"""The command `openclip-lambda`, also as `python -m openclip_lambda`."""

import signal
import sys
from types import FrameType


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Handle Ctrl-C and the end of the session: the command then writes what was computed."""
    raise KeyboardInterrupt


def start(program: str = "openclip-lambda") -> int:
    """Run the command line of this process; returns the exit status."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it, to go on after the session
            signal.signal(number, _interrupt)
    try:
        from openclip_lambda.cli.main import main
    except ModuleNotFoundError as missing:
        print(f"error: the Python package {missing.name} is missing: install openclip-lambda again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return main(program=program)


if __name__ == "__main__":
    sys.exit(start())
