"""What changed in a folder since its images were embedded: `python -m handler.batch photos --output vectors --changes`.

A file is unchanged where its size and its time of modification are those of the bytes that were embedded. What is new
or was changed is embedded. Of what was changed or is gone, the vector from before is recorded as deleted.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from handler.batch import parquet
from handler.batch.rows import read_deletions, unusable
from handler.batch.store import Directory
from handler.errors import StartError, counted


class Look(NamedTuple):
    """A file as it was: its bytes, and when it was modified, in milliseconds since 1970."""

    size: int
    modified: int

    @classmethod
    def at(cls, facts: os.stat_result) -> "Look":
        """Read what the file system says."""
        return cls(facts.st_size, facts.st_mtime_ns // 1_000_000)


class Changes:
    """Compares files with how they were; counts what is new, changed and unchanged.

    `latest` is the latest look at any of them, in milliseconds since 1970: by a clock that was ahead, it is to come.
    """

    def __init__(self, known: dict[str, Look], latest: int = 0) -> None:
        self._known = known
        self.latest = latest
        self._found = set[str]()
        self._changed = set[str]()

    def takes(self, name: str, facts: os.stat_result) -> bool:
        """Tell whether a file is new or was changed."""
        self._found.add(name)
        before = self._known.get(name)
        if before is not None and before != Look.at(facts):
            self._changed.add(name)
        return before is None or name in self._changed

    def leaves(self, name: str) -> None:
        """Count a file that is there and is not to be embedded, as of a format that this bundle does not decode."""
        if name in self._known:
            self._found.add(name)

    def outdated(self) -> list[str]:
        """Return the names of what was changed or is gone."""
        return sorted(self._changed | (self._known.keys() - self._found))

    def check(self, source: Path) -> None:
        """Raise StartError where every image is gone, as where a drive is not mounted."""
        if self._known and not self._found:
            raise StartError(
                f"{source} has no image, and {counted(len(self._known), 'image')} of it had been embedded: see that "
                "its drive is mounted. If all are gone, remove the output"
            )

    def counts(self) -> dict[str, int]:
        """Return how many images are new, changed, unchanged and gone."""
        gone = len(self._known.keys() - self._found)
        new = len(self._found - self._known.keys())
        changed = len(self._changed)
        return {"new": new, "changed": changed, "unchanged": len(self._found) - new - changed, "gone": gone}


def told(counts: dict[str, int]) -> str:
    """Say how many are new, changed and gone."""
    return ", ".join(f"{counts[name]:,} {name}" for name in ("new", "changed", "gone"))


def planned_before(store: Directory, plan: Mapping[str, Any]) -> Changes | None:
    """Compare with a plan, whose files may have changed since it was listed. Raises StartError.

    None for a plan of an earlier version (0.2), which does not say when they were modified.
    """
    known = dict[str, Look]()
    for number in range(plan["shards"]):
        name = f"{plan['prefix']}{number:08d}.jsonl"
        try:
            rows = [json.loads(line) for line in store.read(name).splitlines()]
            if any("modified" not in row for row in rows):
                return None
            known |= {row["key"]: Look(row["size"], row["modified"]) for row in rows}
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise StartError(f"{name} of the output is no plan of a folder ({error!r}): give another --run") from error
    return Changes(known)


def embedded_before(store: Directory, runs: Iterable[str], model: str, settings: dict[str, Any]) -> Changes:
    """Compare with what runs have embedded with one bundle and the same settings. Raises StartError.

    `model` is as in the names of the vectors. What was deleted since, or has no vector, counts as new.
    """
    known, seen_at, latest = dict[str, Look](), dict[str, int](), 0
    for run in runs:
        for name, data in _files(store, f"vectors/model={model}/run={run}/", ".parquet"):
            try:
                rows, about = parquet.read(data)
            except ValueError as error:
                raise StartError(f"{name} of the output: {error}: {unusable(name)}") from error
            if {**about["settings"], **settings} != about["settings"]:
                continue
            for row, _, size, modified, *_ in rows:
                latest = max(latest, row.seen_at)
                if row.seen_at >= seen_at.get(row.key, 0):
                    known[row.key], seen_at[row.key] = Look(size, modified), row.seen_at
    for name, data in _files(store, "deletions/", ".jsonl"):  # of every bundle, as a search reads them
        try:
            gone = read_deletions(data)
        except ValueError as error:
            raise StartError(f"{name} of the output, {error}: {unusable(name)}") from error
        for bucket, key, at in gone:
            latest = max(latest, at)
            if not bucket and key in known and at >= seen_at[key]:
                del known[key]
    return Changes(known, latest)


def _files(store: Directory, folder: str, ending: str) -> Iterator[tuple[str, bytes]]:
    for entry in store.list(folder):
        if entry.name.endswith(ending) and "/." not in entry.name:  # as `._x.parquet`, macOS's notes on another file
            yield entry.name, store.read(entry.name)
