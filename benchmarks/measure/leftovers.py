"""Record what a run makes on AWS before it is made: after kill -9 or a power cut, it would go on costing money.

A run and its CDK CLI hold a lock: the deployment of a killed run goes on for a while.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure.errors import MeasureError
from benchmarks.measure.stopping import Stopping

FOLDER = ".unfinished"
PREFIX = "openclip-measure-"
NAME = re.compile(rf"{PREFIX}[0-9a-f]{{8}}")  # of a stack of ours: nothing else is ever deleted


class Record(NamedTuple):
    """A stack, and where its uploads lie: each begins with the stack's name."""

    stack: str
    account: str
    region: str
    buckets: list[str]
    repositories: list[str]


class Records:
    """The records of one folder of results."""

    def __init__(self, output: Path) -> None:
        self._folder = output / FOLDER

    def write(self, record: Record) -> None:
        """Write a record, whole or not at all, and to the disk."""
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{record.stack}.new"
        with aside.open("w", encoding="utf-8") as stream:
            json.dump(record._asdict(), stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(self._folder / f"{record.stack}.json")

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Hold a folder for what is deployed under a name."""
        folder = self._folder / name
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove the folders of runs that were killed; whoever holds the lock may."""
        for folder in self._folder.glob(f"{PREFIX}*/"):
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, record: Record) -> None:
        """Forget a stack that is gone."""
        (self._folder / f"{record.stack}.json").unlink(missing_ok=True)

    def all(self) -> list[Record]:
        """Return the stacks that may still be there. Raises MeasureError for a file that is no record."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                record = Record(**json.loads(path.read_text(encoding="utf-8")))
                if not NAME.fullmatch(record.stack):
                    raise ValueError(record.stack)
            except (ValueError, TypeError) as error:
                raise MeasureError(
                    f"{path} is damaged: delete the stack {path.stem} yourself, then the file"
                ) from error
            found.append(record)
        return found

    @contextmanager
    def locked(self, stopping: Stopping) -> Iterator[int]:
        """Hold the folder's lock; yields its descriptor, for a process that has to hold it, too."""
        self._folder.mkdir(parents=True, exist_ok=True)
        number = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stopping.say("waiting for another run here, or for the deployment of one that was killed ...")
                fcntl.flock(number, fcntl.LOCK_EX)
            yield number
        finally:
            os.close(number)
