"""Read files and walk directories safely: pipes and devices are not opened, and links in circles are not followed."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath

from openclip_lambda.errors import InputError
from openclip_lambda.formats import HEAD_BYTES, has_image_suffix, why_not, why_not_by_name

KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
MAX_BYTES = 200_000_000  # of a file: an uncompressed TIFF of 60 megapixels
NAME_A_FILE = "save it as a file, and name that"  # the command line takes no bytes
# Opening a pipe would wait for its writer; only Windows has and needs O_BINARY.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def read_image(path: str, instead: str = NAME_A_FILE) -> bytes:
    """Read a file of at most MAX_BYTES. Raises InputError with the reason why it cannot be sent.

    `instead` is what to do with a data URI.
    """
    try:
        _check_regular(os.stat(path))  # noqa: PTH116 - before it is opened: opening a device can do something
        with open(path, "rb", opener=lambda name, _: os.open(name, FLAGS)) as file:
            size = _check_regular(os.fstat(file.fileno()))
            head = file.read(HEAD_BYTES)
            if reason := why_not(path, head):
                raise InputError(reason)
            if size > MAX_BYTES:
                raise too_large(size)
            data = head + file.read(MAX_BYTES + 1 - len(head))
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise InputError(why_no_path(path, instead) or f"it cannot be read: {told}") from error
    if len(data) > MAX_BYTES:  # it grew
        raise too_large(len(data))
    return data


def why_no_path(name: str, instead: str = NAME_A_FILE) -> str:
    """Say what to do with an address, or an image as a data URI, in the place of a path; "" for anything else.

    `instead` is what to do with a data URI.
    """
    if name[:8].lower().startswith(("http://", "https://")):
        return "addresses are not fetched: download it, and name the file"
    return f"it is a data URI: {instead}" if name[:5].lower() == "data:" else ""


def too_large(size: int) -> InputError:
    """Return the error for an image file that is too large to be read."""
    return InputError(f"it has {size:,} bytes, at most {MAX_BYTES:,} are read: scale it down", "too large to be read")


def walk(top: str, left_out: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield the paths of a directory's images at any depth, in their order, each with a problem or "".

    Links to directories are not followed; they and files of other kinds are counted in `left_out`, by suffix.
    """
    levels: list[tuple[str, list[str], set[str]]] = []  # a directory, and the names in it that are still to come
    directory: str | None = top
    while directory is not None or levels:
        if directory is not None:
            try:
                levels.append((directory, *_names(directory, left_out)))
            except OSError as error:
                yield directory, f"it cannot be listed: {error.strerror}"
            directory = None
        elif not levels[-1][1]:
            levels.pop()
        else:
            parent, names, directories = levels[-1]
            name = names.pop()
            path = os.path.join(parent, name)  # noqa: PTH118 - paths are many: they stay strings
            if name in directories:
                directory = path
            else:
                yield path, why_not_by_name(name) or ""


def _names(directory: str, left_out: Counter[str]) -> tuple[list[str], set[str]]:
    """Return the names of a directory's images and directories, the last first, and which are directories."""
    names, directories = [], set()
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.add(entry.name)
            elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
                left_out["linked directories"] += 1
                continue
            elif not has_image_suffix(entry.name):
                left_out[PurePath(entry.name).suffix.lower() or "no suffix"] += 1
                continue
            names.append(entry.name)
    return sorted(names, reverse=True), directories


def _check_regular(found: os.stat_result) -> int:
    for is_kind, name in KINDS:
        if is_kind(found.st_mode):
            raise InputError(f"it is {name}, no file")
    return found.st_size
