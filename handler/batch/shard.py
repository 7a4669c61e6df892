"""One shard: a plan file in, errors and one Parquet file out. Where the Parquet file is, the shard is done."""

import re
from typing import Any, NamedTuple

from handler.batch import parquet
from handler.batch.pipeline import Pipeline
from handler.batch.reader import Reader
from handler.batch.rows import Embedded, Failed, Row, error_lines, read_plan
from handler.batch.store import Store
from handler.models import LoadedModel
from handler.settings import Settings

PLAN = re.compile(r"runs/(?P<run>[A-Za-z0-9][A-Za-z0-9_.-]{0,63})/plan/(?P<shard>[0-9]{8})\.jsonl")
ENOUGH = 20  # images of which a share says something


class ShardError(Exception):
    """A shard that must not be taken for done: nearly all of its images failed, or its plan cannot be read."""


class Work(NamedTuple):
    """What embeds: the model, where its images come from, where results go, and the bundle's manifest hash."""

    model: LoadedModel
    manifest_sha256: str
    settings: Settings
    reader: Reader
    store: Store

    def target(self, kind: str, partition: str, name: str, suffix: str) -> str:
        """Name an output: `kind` is vectors, errors or deletions."""
        return f"{kind}/model={self.manifest_sha256[:12]}/run={partition}/{name}.{suffix}"

    def embed(self, rows: list[Row]) -> tuple[list[Embedded], list[Failed]]:
        """Embed rows; what cannot be embedded is the second list. Raises TransientError."""
        results = list(Pipeline(self.model, self.reader, self.settings).embed(rows))
        return (
            [item for item in results if isinstance(item, Embedded)],
            [item for item in results if isinstance(item, Failed)],
        )

    def parquet(self, embedded: list[Embedded]) -> bytes:
        """Return the results as Parquet, with what changes a vector in the file's metadata."""
        changes = {"exif_orientation": self.settings.exif_orientation, "normalize": True}
        return parquet.write(embedded, self.model, self.manifest_sha256, changes)


def run(plan: str, work: Work, max_failed: float) -> dict[str, Any]:
    """Embed what `runs/<run>/plan/<number>.jsonl` names; returns what was done, as the state machine keeps it.

    Two may run at once, and one may run again: the output has one name, and the first to write it wins.
    Raises ShardError, or TransientError where S3 does not answer: nothing is written then.
    """
    matched = PLAN.fullmatch(plan)
    if matched is None:
        raise ShardError(f"{plan!r} is no plan file: give runs/<run>/plan/<8 digits>.jsonl")
    name, partition = matched["shard"], matched["run"]
    target = work.target("vectors", partition, name, "parquet")
    if work.store.exists(target):
        return {"shard": name, "skipped": True}
    try:
        rows = read_plan(work.store.read(plan))
    except (ValueError, FileNotFoundError) as error:
        raise ShardError(f"{plan}: {error}: plan the run again under another name") from error
    embedded, failed = work.embed(rows)
    _check_failures(plan, embedded, failed, max_failed)
    if failed:
        work.store.write(work.target("errors", partition, name, "jsonl"), error_lines(failed))
    # The vectors come last: where they are, the shard is done.
    written = work.store.write_once(target, work.parquet(embedded))
    return {"shard": name, "skipped": not written, "embedded": len(embedded), "failed": len(failed)}


def _check_failures(plan: str, embedded: list[Embedded], failed: list[Failed], max_failed: float) -> None:
    total = len(embedded) + len(failed)
    if failed and all(item.code == "object_not_readable" for item in failed) and not embedded:
        raise ShardError(f"{plan}: none of {total} images may be read ({failed[0].message}): see the worker's role")
    if total >= ENOUGH and len(failed) > max_failed * total:
        raise ShardError(
            f"{plan}: {len(failed)} of {total} images failed, the first with {failed[0].code} ({failed[0].message}): "
            f"more than the share of {max_failed:g} that may. Look at the source, or raise max_failed"
        )
