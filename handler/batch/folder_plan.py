"""The plan of a folder on this machine: the same files that the planner function writes for a bucket."""

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from handler.batch.changes import Changes, Look
from handler.batch.files import files_below
from handler.batch.reader import now
from handler.batch.rows import deletion_lines, endings, json_lines, not_decoded
from handler.batch.store import Directory
from handler.errors import StartError


class Since(NamedTuple):
    """What a run of changes compares with, and where it records what is outdated: a folder of deletions."""

    changes: Changes
    deletions: str


def plan(
    source: Path,
    store: Directory,
    run: str,
    shard_size: int,
    formats: Callable[[], Iterable[str]] = tuple,
    since: Callable[[], Since] | None = None,
) -> dict[str, Any]:
    """List the images below `source` into plan files of `shard_size` rows, and return the plan's summary.

    `formats` tells what the bundle decodes besides the formats that every bundle does, and `since` what is left out
    for it is unchanged; both are asked once that has to be known.

    A run that was planned before keeps its plan: nothing is listed again. Files whose names begin with a dot, names
    that are not UTF-8, and other kinds of files are left out; the summary counts them, those of them that may be images
    by `not_utf8`, and the links to directories, which are not followed. Two that list at once write below names of
    their own, the summary's `prefix`: the first to write the summary has planned the run. What other listings wrote,
    such as one that was killed, is removed.
    Raises StartError for a directory that cannot be read: its images would be missing from the run for ever; and for
    a summary that is none.
    """
    if known := planned(store, run):
        _remove_others(store, run, known["prefix"])
        return known
    listing, compared = secrets.token_hex(4), since() if since else None
    prefix, taken = f"runs/{run}/plan/{listing}/", endings(formats())
    found = _written(source, store, prefix, shard_size, taken, compared.changes if compared else None, _latest(store))
    outdated = f"{compared.deletions}{listing}.jsonl" if compared else ""
    if compared:
        found = _recorded(found, compared, outdated, store)
    # Escaped: the source may not be UTF-8.
    first = store.write_once(_summary(run), json.dumps(found, sort_keys=True).encode())
    if outdated and not first:
        store.remove(outdated)  # it is later than the vectors of the plan that holds
    return plan(source, store, run, shard_size, formats, since)


def planned(store: Directory, run: str) -> dict[str, Any] | None:
    """Return a run's summary; None where it was not planned. Raises StartError for a summary that is none."""
    try:
        return _known(store.read(_summary(run)), run)
    except FileNotFoundError:
        return None


def compare(source: Path, formats: Iterable[str], changes: Changes) -> None:
    """Show all images below `source` to `changes`. Raises StartError for a directory that cannot be read."""
    left_out: list[Path] = []
    for name, facts in _images(source, endings(formats), left_out.append, lambda _: None):
        changes.takes(name, facts)
    _leave(changes, source, left_out)


def _leave(changes: Changes, source: Path, left_out: Iterable[Path]) -> None:
    for path in left_out:
        changes.leaves(path.relative_to(source).as_posix())


def _summary(run: str) -> str:
    return f"runs/{run}/plan.json"


def _recorded(found: dict[str, Any], since: Since, name: str, store: Directory) -> dict[str, Any]:
    """Record what is outdated; returns the summary with what changed.

    A millisecond before the listing, so that the vectors of what was changed come after it.
    """
    since.changes.check(Path(found["source"]))
    if outdated := since.changes.outdated():
        store.write(name, deletion_lines(("", key, found["listed_at"] - 1) for key in outdated))
    return {**found, "changes": since.changes.counts()}


def _written(
    source: Path,
    store: Directory,
    prefix: str,
    shard_size: int,
    taken: tuple[str, ...],
    changes: Changes | None,
    latest: int,
) -> dict[str, Any]:
    """Write the plan files, and return the summary. `latest` is the look of the runs before."""
    shards, images, size = 0, 0, 0
    # The latest look counts: also behind one by a clock that was ahead then. One millisecond is for what is outdated.
    listed_at = max(now(), latest + 2, changes.latest + 2 if changes else 0)
    rows: list[dict[str, Any]] = []
    left_out: list[Path] = []
    links: list[Path] = []
    for name, facts in _images(source, taken, left_out.append, links.append):
        if changes and not changes.takes(name, facts):
            continue
        size += facts.st_size
        images += 1
        rows.append({"bucket": "", "key": name, **Look.at(facts)._asdict(), "seen_at": listed_at})
        if len(rows) == shard_size:
            store.write(f"{prefix}{shards:08d}.jsonl", json_lines(rows))
            shards, rows = shards + 1, []
    if rows:
        store.write(f"{prefix}{shards:08d}.jsonl", json_lines(rows))
        shards += 1
    if changes:
        _leave(changes, source, left_out)
    counts = {"shards": shards, "images": images, "bytes": size, "left_out": len(left_out), "links": len(links)}
    counts["not_utf8"] = sum(not _is_text(path.relative_to(source)) and _ends_as(path.name, taken) for path in left_out)
    others = Counter(ending for path in left_out if (ending := not_decoded(path.name)) and not _is_hidden(path.name))
    found = {"prefix": prefix, "listed_at": listed_at, **counts, "not_decoded": dict(others)}
    return {**found, "source": str(source.absolute())}


def _latest(store: Directory) -> int:
    """Return the latest look of the runs that were planned; of one whose summary is none, nobody can say."""
    looks = [0]
    for run in store.folders("runs/"):
        with suppress(StartError):
            looks.append(found["listed_at"] if (found := planned(store, run)) else 0)
    return max(looks)


def _known(data: bytes, run: str) -> dict[str, Any]:
    try:
        unsaid = {"listed_at": 0, "links": 0, "not_utf8": 0, "not_decoded": {}}  # by earlier versions
        found = {"prefix": f"runs/{run}/plan/", **unsaid, **json.loads(data)}
        counts = {name: int(found[name]) for name in ("shards", "images", "left_out", "links", "not_utf8", "listed_at")}
        return {**found, **counts, "source": str(found["source"])}
    except (ValueError, TypeError, KeyError) as error:
        raise StartError(f"runs/{run}/plan.json of the output is no plan of a folder: give another --run") from error


def _remove_others(store: Directory, run: str, kept: str) -> None:
    for name in store.folders(f"runs/{run}/plan/"):
        if (folder := f"runs/{run}/plan/{name}/") != kept:
            store.clear(folder)


def _images(
    source: Path, taken: tuple[str, ...], left_out: Callable[[Path], None], linked: Callable[[Path], None]
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each image's name with its facts; `left_out` and `linked` are told of other files and of linked folders."""
    try:
        for path, facts in files_below(source, linked):
            name = path.relative_to(source)
            if _is_text(name) and _ends_as(path.name, taken):
                yield name.as_posix(), facts
            else:
                left_out(path)
    except OSError as error:
        remedy = f"{error.strerror}: see that its drive answers"
        if isinstance(error, PermissionError):
            remedy = "allow this user to read it"
        raise StartError(f"{error.filename} cannot be read: {remedy}, or give a folder without it") from error


def _is_text(name: Path) -> bool:
    try:
        name.as_posix().encode()
    except UnicodeEncodeError:
        return False  # it cannot stand in a result
    return True


def _ends_as(name: str, taken: tuple[str, ...]) -> bool:
    return name.lower().endswith(taken) and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
