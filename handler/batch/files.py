"""The files below a directory in which others write and remove at the same time."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISREG

GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}  # what is no file: it went meanwhile, or a link leads nowhere


def files_below(root: Path, linked: Callable[[Path], None] = lambda _: None) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield each regular file with its facts: a directory's own in the order of names, then those of its directories.

    Links to files are followed, links to directories are not: `linked` is told each of them. What goes meanwhile is
    left out, directories too. Raises OSError where a directory cannot be read for another reason, such as
    PermissionError.
    """
    for folder, folders, names in os.walk(root, onerror=_raise_unless_gone):
        folders.sort()
        for name in folders:
            if (path := Path(folder, name)).is_symlink():
                linked(path)
        for name in sorted(names):
            path = Path(folder, name)
            try:
                facts = path.stat()
            except OSError as error:
                _raise_unless_gone(error)
                continue
            if S_ISREG(facts.st_mode):
                yield path, facts


def explained(error: OSError, output: Path) -> str:
    """Say what a file system refused, and what to do about it."""
    where = error.filename or output
    return f"{where}: {error.strerror or error}: see that {output} can be written and has room, then run this again"


def _raise_unless_gone(error: OSError) -> None:
    if error.errno not in GONE:
        raise error
