"""Read what a run wrote: its plan, its finished shards, and the images that have no vector."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from openclip_lambda.batch.places import Entry, Place
from openclip_lambda.bulk.pool import Pool, ordered
from openclip_lambda.errors import ClientError

READERS = 8
KINDS = ("vectors", "errors")


class Plan(NamedTuple):
    """What a run does, and what it leaves out. `source` is empty if the plan does not have it."""

    shards: int
    images: int
    bytes: int
    source: str
    planned: float  # seconds since 1970; 0 where it is not known
    not_decoded: dict[str, int]  # images that the bundle does not decode, by the ending of their keys


class Failed(NamedTuple):
    """All images with one error code: how many, a message, and the first of them."""

    code: str
    images: int
    message: str
    keys: list[dict[str, str]]


def plan(place: Place, run: str) -> Plan | None:
    """Read `runs/<run>/plan.json`, which is written when the plan is complete."""
    name = f"runs/{run}/plan.json"
    data = place.read(name)
    if data is None:
        return None
    try:
        found = json.loads(data)
        facts = (int(found["shards"]), int(found["images"]), int(found["bytes"]), str(found.get("source", "")))
        others = {str(ending): int(count) for ending, count in found.get("not_decoded", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClientError(f"{place.label}/{name} is no plan ({error!r}): start the run under another name") from error
    return Plan(*facts, float(found.get("listed_at", 0)) / 1000, others)


def runs(place: Place) -> list[str]:
    """Return the names of the runs that were planned there."""
    return place.folders("runs/")


def finished(place: Place, run: str) -> list[Entry]:
    """Return the run's Parquet files, of the bundle that wrote last."""
    return _of_newest_model(place, run)["vectors"]


def failures(place: Place, run: str | None, keys: int) -> list[Failed]:
    """Count what could not be embedded by code, the most frequent first; of each code the first `keys` are kept.

    An image counts once, by its latest error: each run of changes tries again what failed before.
    """
    partitions = [run] if run else _partitions(place)
    files = [(part, entry) for part in partitions for entry in _of_newest_model(place, part)["errors"]]
    files.sort(key=lambda found: -found[1].modified)
    names = [(part, entry.name) for part, entry in files]
    table: dict[str, Failed] = {}
    counted = set[int]()  # hashes: of 10^8 images a million may have failed
    for line in _lines(place, names):
        if (name := hash((line["bucket"], line["key"]))) in counted:
            continue
        counted.add(name)
        row = table.get(line["code"]) or Failed(line["code"], 0, line["message"], [])
        if len(row.keys) < keys:
            row.keys.append({name: line[name] for name in ("run", "bucket", "key")})
        table[line["code"]] = row._replace(images=row.images + 1)
    return sorted(table.values(), key=lambda row: (-row.images, row.code))


def _partitions(place: Place) -> list[str]:
    models = [f"errors/{model}/" for model in place.folders("errors/")]
    return sorted({name.removeprefix("run=") for model in models for name in place.folders(model)})


def _of_newest_model(place: Place, run: str) -> dict[str, list[Entry]]:
    """Return vectors and errors of a run. Where several bundles ran it, those of the one that wrote last."""
    models = sorted({model for kind in KINDS for model in place.folders(f"{kind}/")})
    found = [{kind: _entries(place, kind, model, run) for kind in KINDS} for model in models]
    written = [files for files in found if any(files.values())]
    return max(written, key=_latest, default={kind: [] for kind in KINDS})


def _entries(place: Place, kind: str, model: str, run: str) -> list[Entry]:
    suffix = {"vectors": ".parquet", "errors": ".jsonl"}[kind]
    return [entry for entry in place.entries(f"{kind}/{model}/run={run}/") if entry.name.endswith(suffix)]


def _latest(files: dict[str, list[Entry]]) -> float:
    return max(entry.modified for kind in files.values() for entry in kind)


def _lines(place: Place, names: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    def read(named: tuple[str, str]) -> list[dict[str, Any]]:
        run, name = named
        try:
            rows = [json.loads(line) for line in (place.read(name) or b"").splitlines()]
            texts = ("bucket", "key", "code", "message")
            return [{"run": run, **{text: str(row[text]) for text in texts}} for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise ClientError(f"{place.label}/{name} is no list of errors ({error!r}): was it edited?") from error

    pool = Pool(READERS)
    try:
        for rows in ordered(pool, read, names, 2 * READERS):
            yield from rows
    finally:
        pool.stop()
