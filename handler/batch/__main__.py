"""`python -m handler.batch photos --output vectors`: see `handler.batch.command`."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import os
import signal
import sys

INTERRUPTED = 128 + signal.SIGINT


def _stop(*_: object) -> None:
    """End this process while its modules are imported, where KeyboardInterrupt would be a traceback or lost."""
    try:
        os.write(2, b"stopped\n")
    finally:  # what reads stderr may have ended before
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else ignored, as by nohup
    if default:
        signal.signal(signal.SIGINT, _stop)
    from handler.batch.command import main

    if default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
