"""One shard: a plan file in, errors and one Parquet file out. Where the Parquet file is, the shard is done."""

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from handler.batch import one_by_one, parquet
from handler.batch.parts import Parts, Result
from handler.batch.pipeline import AHEAD, Pipeline
from handler.batch.reader import Reader
from handler.batch.rows import (
    ARCHIVED,
    DENIED,
    ENDED,
    Embedded,
    Failed,
    Row,
    deletion_lines,
    error_lines,
    read_plan,
    without_image,
)
from handler.batch.store import Store
from handler.endpoints import quantize
from handler.errors import counted
from handler.models import LoadedModel
from handler.settings import Settings

PLAN = re.compile(r"runs/(?P<run>[A-Za-z0-9][A-Za-z0-9_.-]{0,63})/plan/([0-9a-f]{8}/)?(?P<shard>[0-9]{8})\.jsonl")
SAVED_EVERY = 128  # images: what a killed worker has to do again, and those that were decoded ahead
DIGITS = 12  # of the model's vectors_sha256, in the names of what is written
ENOUGH = 20  # images of which a share says something


class ShardError(Exception):
    """A shard that must not be taken for done: nearly all of its images failed, or its plan cannot be read."""


class Work(NamedTuple):
    """What embeds: the model, where its images come from, where results go, and the model's vectors_sha256."""

    model: LoadedModel
    manifest_sha256: str
    settings: Settings
    reader: Reader
    store: Store
    saved_every: int = SAVED_EVERY
    int8: bool = False

    def target(self, kind: str, partition: str, name: str, suffix: str) -> str:
        """Name an output: `kind` is vectors, errors, deletions or parts."""
        return f"{kind}/model={self.manifest_sha256[:DIGITS]}/run={partition}/{name}.{suffix}"

    def embed(
        self, rows: list[Row], parts: Parts | None = None, again: bool = False
    ) -> tuple[list[Embedded], list[Failed], int]:
        """Embed rows; what cannot be embedded is the second list. Raises TransientError.

        With `parts`, what they have is taken from them, which is how many the third says; and new ones are written.
        `again` says that a worker may have been killed by these rows.
        """
        results: list[Result] = parts.load(rows) if parts else []
        resumed, unsaved = len(results), list[Result]()
        pipeline = Pipeline(self.model, self.reader, self.settings)
        if not again:
            _look_again(results, pipeline)
        if parts and again:
            pipeline.warm_up()
            unknown = self.saved_every + pipeline.group_size + AHEAD  # rows that a killed worker may have been at
            results += one_by_one.embedded(rows, resumed, parts, pipeline.embed, unknown)
        for result in pipeline.embed(rows[len(results) :]):
            unsaved.append(result)
            if parts and len(unsaved) == self.saved_every:
                parts.save(len(results), unsaved)
                results += unsaved
                unsaved = []
        results += unsaved
        return (
            [item for item in results if isinstance(item, Embedded)],
            [item for item in results if isinstance(item, Failed)],
            resumed,
        )

    @property
    def vector_settings(self) -> dict[str, Any]:
        """What changes a vector in the files, besides the bundle."""
        as_int8 = {"vectors": "int8", "scale": quantize.scale(self.model.entry.embed_dim)} if self.int8 else {}
        return {**self.settings.of_vectors, **as_int8}

    def parquet(self, embedded: list[Embedded]) -> bytes:
        """Return the results as Parquet, with what changes a vector in the file's metadata."""
        entry = self.model.entry
        if self.int8:  # by the API's scale: handler/endpoints/quantize.py
            embedded = [item._replace(vector=quantize.quantized(item.vector[None], "int8")[0]) for item in embedded]
        about = {"model": entry.id, "manifest_sha256": self.manifest_sha256, "settings": self.vector_settings}
        return parquet.write(embedded, entry.embed_dim, about)


def run(
    plan: str, work: Work, max_failed: float | None, again: bool = False, model: str | None = None
) -> dict[str, Any]:
    """Embed what a plan file names, `runs/<run>/plan/<listing>/<number>.jsonl`; returns what was done.

    `max_failed` is the share of the images that may fail; None where all may, also those that nobody may read.
    Two may run at once, and one may run again: the output has one name, and the first to write it wins. `again` says
    that it was tried before, and that its worker may have been killed by an image. `model` is DIGITS of the bundle that
    the run began with; None where nobody can change it meanwhile.
    Raises ShardError, or TransientError where S3 does not answer: no vectors are written then.
    """
    matched = PLAN.fullmatch(plan)
    if matched is None:
        raise ShardError(f"{plan!r} is no plan file: give runs/<run>/plan/<listing>/<8 digits>.jsonl")
    _check_model(plan, work, model)
    name, partition = matched["shard"], matched["run"]
    target = work.target("vectors", partition, name, "parquet")
    prefix = work.target("parts", partition, name, "npz").removesuffix(".npz") + "/"
    parts = Parts(work.store, prefix, work.settings.of_vectors)
    _check_settings(partition, work)
    if work.store.exists(target):
        parts.remove()  # of a worker that was killed between the two
        before = _failed_before(work, work.target("errors", partition, name, "jsonl"))
        return {"shard": name, "skipped": True, **({"failed_before": before} if before else {})}
    try:
        rows = read_plan(work.store.read(plan))
    except (ValueError, FileNotFoundError) as error:
        raise ShardError(f"{plan}: {error}: plan the run again under another name") from error
    embedded, failed, resumed = work.embed(rows, parts, again)
    _check_failures(plan, embedded, failed, max_failed)
    if failed:
        work.store.write(work.target("errors", partition, name, "jsonl"), error_lines(failed))
    _outdate(work, work.target("deletions", partition, name, "jsonl"), failed)
    # The vectors come last: where they are, the shard is done.
    written = work.store.write_once(target, work.parquet(embedded))
    parts.remove()
    done = {"shard": name, "skipped": not written, "embedded": len(embedded), "failed": len(failed)}
    return {**done, "resumed": resumed} if resumed else done


def _check_model(plan: str, work: Work, model: str | None) -> None:
    """Raise ShardError where another bundle was deployed since the run began: its vectors would be of two models."""
    ours = work.manifest_sha256[:DIGITS]
    if model not in (None, ours):
        raise ShardError(
            f"{plan}: the run began with bundle {model}, and {ours} was deployed since: start the run again (`batch "
            "start` with its --run; a redrive would go on with the old one), and all of it is embedded by the new one"
        )


def _check_settings(run: str, work: Work) -> None:
    """Raise ShardError where a run goes on with other settings than it began with: its vectors would not fit together.

    The first shard writes them down. Shards that begin at once are of one deployment, and write the same.
    """
    name = f"runs/{run}/settings-{work.manifest_sha256[:DIGITS]}.json"
    ours = work.vector_settings
    try:
        theirs = {**json.loads(work.store.read(name))}
    except FileNotFoundError:
        work.store.write(name, json.dumps(ours, sort_keys=True).encode())
        return
    except (ValueError, TypeError, RecursionError) as error:
        raise ShardError(
            f"{name} is damaged, so nobody knows with which settings run {run} was begun: restore it, or start a run "
            "of another name, which embeds all images anew"
        ) from error
    if other := [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]:
        raise ShardError(
            f"run {run} was begun with {_told(theirs, other)}, and now it is {_told(ours, other)}: set it back, "
            "or start a run of another name, which embeds all images anew"
        )


def _told(settings: dict[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={json.dumps(settings.get(name))}" for name in names)


def _look_again(results: list[Result], pipeline: Pipeline) -> None:
    """Embed what failed when the parts were written: until a run goes on, it may be allowed, restored or replaced.

    Not where a worker of the same run failed a moment ago: an image that was replaced may be what ended it.
    """
    places = [place for place, item in enumerate(results) if isinstance(item, Failed) and item.code != ENDED]
    for place, result in zip(places, pipeline.embed([results[place].row for place in places]), strict=True):
        results[place] = result


def _outdate(work: Work, target: str, failed: list[Failed]) -> None:
    """Record that what runs before have of these images is outdated.

    The deletion's time is a millisecond before the listing: if the run continues, or runs twice, and the image is whole
    by then, its vector is later.
    """
    if gone := without_image(failed):
        work.store.write(target, deletion_lines((row.bucket, row.key, row.seen_at - 1) for row, _, _ in gone))


def _failed_before(work: Work, errors: str) -> int:
    try:
        return len(work.store.read(errors).splitlines())
    except FileNotFoundError:
        return 0


def _check_failures(plan: str, embedded: list[Embedded], failed: list[Failed], max_failed: float | None) -> None:
    if max_failed is None:
        return
    failed = [item for item in failed if item.code != ARCHIVED]  # nothing is wrong with it
    total = len(embedded) + len(failed)
    if failed and all(item.code == DENIED for item in failed) and not embedded:
        raise ShardError(
            f"{plan}: none of {counted(total, 'image')} may be read ({failed[0].message}): see the worker's role, or "
            "who may read the folder"
        )
    if total >= ENOUGH and len(failed) > max_failed * total:
        raise ShardError(
            f"{plan}: {len(failed)} of {total} images failed, the first with {failed[0].code} ({failed[0].message}): "
            f"more than the share of {max_failed:g} that may. Look at the source, or raise max_failed"
        )
