"""Ask the disk for files before they are needed: reading them then costs a cold start no time of its own."""

import logging
import os
import sys
import threading
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)


def read_ahead(paths: Iterable[Path]) -> threading.Thread:
    """Bring files into the page cache, one after the other, in a thread that is returned."""
    thread = threading.Thread(target=_read, args=(list(paths),), name="openclip-ahead", daemon=True)
    thread.start()
    return thread


def libraries(package: str, *patterns: str) -> list[Path]:
    """Find files of a package without importing it."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for pattern in patterns for path in sorted(Path(place).glob(pattern))]


def _read(paths: list[Path]) -> None:
    if sys.platform == "darwin":  # takes sockets only
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            for path in paths:
                with path.open("rb") as stream:
                    # One call a file: nothing is copied, and other Python runs. A page fault reads 128 KB, and waits.
                    while os.sendfile(nowhere.fileno(), stream.fileno(), None, 1 << 30):
                        pass
    except OSError as error:
        log.info("not read ahead, it will be read when needed: %s", error)
