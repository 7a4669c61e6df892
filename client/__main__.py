"""`python -m client`."""

import signal
import sys
from types import FrameType

try:
    from client.cli import main
except ModuleNotFoundError as missing:
    sys.exit(f"error: the Python package {missing.name} is missing: activate .venv, or pip install -r requirements.txt")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treat the end of the session like Ctrl-C: what was computed is written."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    sys.exit(main())
