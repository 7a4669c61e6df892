"""The plan of a folder on this machine: the same files that the planner function writes for a bucket."""

import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from handler.batch.files import files_below
from handler.batch.reader import now
from handler.batch.rows import endings, json_lines
from handler.batch.store import Directory
from handler.errors import StartError


def plan(
    source: Path, store: Directory, run: str, shard_size: int, formats: Callable[[], Iterable[str]] = tuple
) -> dict[str, Any]:
    """List the images below `source` into plan files of `shard_size` rows, and return the plan's summary.

    `formats` tells what the bundle decodes besides the formats that every bundle does, once that has to be known.

    A run that was planned before keeps its plan: nothing is listed again. Files whose names begin with a dot, names
    that are not UTF-8, and other kinds of files are left out; the summary counts them, and the links to directories,
    which are not followed. Two that list at once write below names of their own, the summary's `prefix`: the first to
    write the summary has planned the run. What other listings wrote, such as one that was killed, is removed.
    Raises StartError for a directory that may not be read: its images would be missing from the run for ever; and for
    a summary that is none.
    """
    summary = f"runs/{run}/plan.json"
    if store.exists(summary):
        known = _known(store.read(summary), run)
        _remove_others(store, run, known["prefix"])
        return known
    found = _written(source, store, f"runs/{run}/plan/{secrets.token_hex(4)}/", shard_size, endings(formats()))
    store.write_once(summary, json.dumps(found, sort_keys=True).encode())  # escaped: the source may not be UTF-8
    return plan(source, store, run, shard_size, formats)


def _written(source: Path, store: Directory, prefix: str, shard_size: int, taken: tuple[str, ...]) -> dict[str, Any]:
    """Write the plan files, and return the summary."""
    listed_at, shards, images, size, left_out = now(), 0, 0, 0, 0
    rows: list[dict[str, Any]] = []
    links: list[Path] = []
    for path, facts in _listed(source, links.append):
        name = path.relative_to(source).as_posix()
        if not _is_image(name, taken):
            left_out += 1
            continue
        size += facts.st_size
        images += 1
        rows.append({"bucket": "", "key": name, "size": facts.st_size, "seen_at": listed_at})
        if len(rows) == shard_size:
            store.write(f"{prefix}{shards:08d}.jsonl", json_lines(rows))
            shards, rows = shards + 1, []
    if rows:
        store.write(f"{prefix}{shards:08d}.jsonl", json_lines(rows))
        shards += 1
    counts = {"shards": shards, "images": images, "bytes": size, "left_out": left_out, "links": len(links)}
    return {"prefix": prefix, **counts, "source": str(source.absolute())}


def _known(data: bytes, run: str) -> dict[str, Any]:
    try:
        found = {"prefix": f"runs/{run}/plan/", "links": 0, **json.loads(data)}
        counts = {name: int(found[name]) for name in ("shards", "images", "left_out", "links")}
        return {**found, **counts, "source": str(found["source"])}
    except (ValueError, TypeError, KeyError) as error:
        raise StartError(f"runs/{run}/plan.json of the output is no plan of a folder: give another --run") from error


def _remove_others(store: Directory, run: str, kept: str) -> None:
    for name in store.folders(f"runs/{run}/plan/"):
        if (folder := f"runs/{run}/plan/{name}/") != kept:
            store.clear(folder)


def _listed(source: Path, linked: Callable[[Path], None]) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        yield from files_below(source, linked)
    except PermissionError as error:
        raise StartError(
            f"{error.filename} cannot be read: allow this user to read it, or give a folder without it"
        ) from error


def _is_image(name: str, taken: tuple[str, ...]) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False  # a name that is no text cannot stand in a result
    return name.lower().endswith(taken) and not name.rpartition("/")[2].startswith(".")
