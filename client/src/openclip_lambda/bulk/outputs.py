"""The outputs of a run: JSON lines on standard output, or files that are written under another name, then renamed."""

import contextlib
import os
import secrets
import shutil
import signal
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from openclip_lambda.bulk import parquet
from openclip_lambda.bulk.tables import FORMATS, Format, Names, Row, Table, to_json
from openclip_lambda.bulk.terminal import print_bytes
from openclip_lambda.errors import OutputError
from openclip_lambda.os_errors import reason

Identity = tuple[int, int]  # device and inode: the same for every name of a file


class Output(Protocol):
    """Takes rows as they come. Raises OutputError."""

    @property
    def count(self) -> int:
        """How many rows are written."""

    def append(self, rows: Sequence[Row], total: int) -> None:
        """Write at least one row of about `total`."""

    def finish(self, complete: bool) -> Path | None:
        """Move the results to their place, or to another name if the run ended early; return that path."""


class Lines:
    """A line of JSON for each row, printed to standard output immediately."""

    def __init__(self) -> None:
        self.count = 0

    def append(self, rows: Sequence[Row], total: int) -> None:
        """Print rows."""
        print_bytes(b"".join(to_json(row) + b"\n" for row in rows))
        self.count += len(rows)

    def finish(self, complete: bool) -> Path | None:
        """Everything is printed already."""
        return None


class Files:
    """One file, or an array with its file of names. `open` creates them under other names, `finish` renames them.

    Raises OutputError if they cannot be written.
    """

    def __init__(self, path: Path, formats: Sequence[str]) -> None:
        suffix = path.suffix.lower()
        if suffix not in formats:
            raise OutputError(f"{path} has no ending that is known here: {', '.join(formats)}")
        # The file that a link leads to is replaced, not the link.
        try:
            self.target = Path(os.path.realpath(path))
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written ({error}): give another --output") from error
        if os.path.islink(self.target):  # noqa: PTH114 - Path's raises for a name that is too long
            raise OutputError(f"{path} cannot be written: it is a link that leads to itself")
        if suffix == ".parquet":
            parquet.check()
        self._forms: dict[Path, Format] = {self.target: FORMATS[suffix]()}
        if suffix == ".npy":
            names = Names(self.target.name)
            self._forms[self.target.with_suffix(".names.json")] = names
            _check_names(self.target.with_suffix(".names.json"), names.start)
        for target in self._forms:
            _check_target(target)
        self._tables: dict[Path, Table] = {}

    @property
    def count(self) -> int:
        """How many rows are written to every file."""
        return min((table.count for table in self._tables.values()), default=0)

    def identities(self) -> set[Identity]:
        """Return the identities of the files that would be replaced: none of them may be an input."""
        return {(found.st_dev, found.st_ino) for target in self._forms for found in _existing(target)}

    def open(self) -> None:
        """Create the files beside their final paths, which shows at once whether they can be written."""
        for target, form in self._forms.items():
            try:
                self._tables[target] = Table(target.with_name(f".openclip-{secrets.token_hex(6)}"), form)
            except OSError as error:
                self.discard()
                raise OutputError(f"{target} cannot be written: {reason(error)}") from error

    def scratch(self) -> list[str]:
        """Return the names of the files that are written beside the places, once they are open."""
        names = [table.path.name for table in self._tables.values()]
        return [*names, *map(parquet.aside, names)] if self.target.suffix.lower() == ".parquet" else names

    def append(self, rows: Sequence[Row], total: int) -> None:
        """Write rows. Where that fails, those written before stay complete."""
        longer: list[Table] = []
        try:
            for table in self._tables.values():
                table.append(rows)
                longer.append(table)
        except BaseException as error:  # the user's Ctrl-C as well
            for table in longer:
                table.undo()
            if isinstance(error, OSError):
                raise OutputError(f"{self.target} cannot be written: {reason(error)}") from error
            raise
        if longer[0].count == len(rows):
            self._check_room(total / len(rows) - 1)

    def _check_room(self, times: float) -> None:
        """Raise OutputError if the disk will be full before the last row: `times` as many bytes will follow."""
        with contextlib.suppress(OSError):
            needed = int(sum(table.end for table in self._tables.values()) * times)
            if needed > (free := shutil.disk_usage(self.target.parent).free):
                raise OutputError(f"{self.target} will need {needed:,} bytes more, and its disk has {free:,} left")

    def finish(self, complete: bool) -> Path | None:
        """Rename the files into place; a run that ended early never replaces the results of another."""
        if not self.count:
            self.discard()
            return None
        target = self.target if complete else _free_name(self.target)
        left = [str(table.path) for table in self._tables.values()]
        try:
            for old, table in self._tables.items():
                table.close()
                if old.suffix.lower() == ".parquet":
                    parquet.replace(table.path)
                _keep_mode(old, table.path)
            if len(left) > 1:  # so that a kill here never leaves an old array with new names; `--resume` makes both
                target.unlink(missing_ok=True)
            # The names first: a reader who finds the array finds them, too.
            for old, table in reversed(self._tables.items()):
                table.path.replace(target if old == self.target else target.with_suffix(".names.json"))
                left.remove(str(table.path))
        except OSError as error:
            raise OutputError(
                f"{target} cannot be written: {reason(error)}. The results are in {' and '.join(left)}"
            ) from error
        return target

    def discard(self) -> None:
        """Remove what was written."""
        for table in self._tables.values():
            with contextlib.suppress(OSError):
                table.discard()


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Within this block, ignore further signals, such as a second Ctrl-C: the results are moved to their place."""
    before = {}
    with contextlib.suppress(ValueError):  # only the main thread hears signals
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if number := getattr(signal, name, None):
                before[number] = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_target(target: Path) -> None:
    if not os.path.isdir(target.parent):  # noqa: PTH112 - likewise
        raise OutputError(f"{target} cannot be written: there is no directory {target.parent}")
    for found in _existing(target):
        if not stat.S_ISREG(found.st_mode):
            raise OutputError(f"{target} is no file: name one, or leave --output out for lines on standard output")
        if not os.access(target, os.W_OK):
            raise OutputError(f"{target} cannot be written: it is read-only")


def _check_names(path: Path, start: bytes) -> None:
    """Refuse to replace a file that this client did not write."""
    if os.path.lexists(path):
        try:
            with path.open("rb") as file:
                ours = file.read(len(start)) == start
        except OSError:
            ours = False
        if not ours:
            raise OutputError(
                f"the names of the array's rows would replace {path}, which was not made by this client: move it, or "
                "give --output another name"
            )


def _existing(path: Path) -> Iterator[os.stat_result]:
    with contextlib.suppress(FileNotFoundError):
        try:
            yield path.stat()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {reason(error)}") from error
        except ValueError as error:
            raise OutputError(f"{path} cannot be written: {error}: give --output another name") from error


def _free_name(target: Path) -> Path:
    """Return an unused name beside the target: `<stem>.partial<suffix>`, or with a number."""
    number = 1
    while True:
        name = f"{target.stem}.partial{'' if number == 1 else f'-{number}'}{target.suffix}"
        found = target.with_name(name)
        if not os.path.lexists(found) and not os.path.lexists(found.with_suffix(".names.json")):
            return found
        number += 1


def _keep_mode(old: Path, new: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.copymode(old, new)
