"""The command `openclip-lambda`, also as `python -m openclip_lambda`."""

import signal
import sys
from types import FrameType


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat the end of the session like Ctrl-C: what was computed is written."""
    raise KeyboardInterrupt


def start(program: str = "openclip-lambda") -> int:
    """Run the command line of this process; returns the exit status."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    try:
        from openclip_lambda.cli.main import main
    except ModuleNotFoundError as missing:
        print(f"error: the Python package {missing.name} is missing: install openclip-lambda again", file=sys.stderr)
        return 1
    return main(program=program)


if __name__ == "__main__":
    sys.exit(start())
