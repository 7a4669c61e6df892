"""Read files into the page cache before they are needed, while a cold start does other work."""

import logging
import os
import sys
import threading
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)


def read_ahead(paths: Iterable[Path]) -> threading.Thread:
    """Start a thread that reads files into the page cache, one after the other; returns the thread."""
    thread = threading.Thread(target=_read, args=(list(paths),), name="openclip-ahead", daemon=True)
    thread.start()
    return thread


def libraries(package: str, *patterns: str) -> list[Path]:
    """Find files of a package without importing it."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for pattern in patterns for path in sorted(Path(place).glob(pattern))]


def _read(paths: list[Path]) -> None:
    if sys.platform == "darwin":  # its sendfile writes to sockets only
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            for path in paths:
                with path.open("rb") as stream:
                    # One system call a file, without a copy, and without the interpreter lock. Page faults would read
                    # 128 KB at a time, and wait for each.
                    while os.sendfile(nowhere.fileno(), stream.fileno(), None, 1 << 30):
                        pass
    except OSError as error:
        log.info("not read ahead, it will be read when needed: %s", error)
