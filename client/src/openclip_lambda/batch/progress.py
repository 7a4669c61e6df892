"""The progress of a run: shards and images, the rate, the remaining time, the cost so far."""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from openclip_lambda.batch import costs, results
from openclip_lambda.batch.places import Place
from openclip_lambda.batch.prices import Prices
from openclip_lambda.batch.state_machine import Execution, Machine
from openclip_lambda.errors import ClientError

BY_MAP_RUN, BY_FILES, BY_NOBODY = "map run", "Parquet files", "nothing yet"
FAILED = ("failed", "timedOut", "aborted")


class Shards(NamedTuple):
    """Shards, counted by state; `total` is 0 while the source is being listed."""

    total: int = 0
    done: int = 0
    running: int = 0
    failed: int = 0


class Progress(NamedTuple):
    """A run at one moment. `images_done` is the finished shards' share of the images, the broken ones included."""

    run: str
    status: str
    counted_by: str
    shards: Shards
    images: int
    images_done: int
    started: float
    seconds: float
    cause: str = ""
    execution: str = ""
    dollars: float | None = None
    failures: tuple[str, ...] = ()
    not_decoded: Mapping[str, int] = {}

    @property
    def rate(self) -> float:
        """Images a second, since the start."""
        return self.images_done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until the end at this rate; None if that is not known."""
        if self.status not in ("RUNNING", "PENDING_REDRIVE", "INCOMPLETE") or not self.images or not self.rate:
            return None
        return (self.images - self.images_done) / self.rate

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "run": self.run,
            "status": self.status,
            "counted_by": self.counted_by,
            "shards": self.shards._asdict(),
            "images": {"total": self.images, "done": self.images_done},
            "seconds": round(self.seconds, 1),
            "images_per_second": round(self.rate, 3),
            "seconds_left": None if self.left is None else round(self.left, 1),
            "dollars": None if self.dollars is None else round(self.dollars, 6),
            "execution": self.execution or None,
            "cause": self.cause or None,
            "failures": self.failures,
            "not_decoded": dict(self.not_decoded),
        }


def of_execution(machine: Machine, execution: Execution, place: Place) -> Progress:
    """Return the progress of a run on AWS: by its map run's counts, or by its Parquet files if there are none."""
    planned, counts = results.plan(place, execution.run), machine.counts(execution)
    total = planned.shards if planned else 0
    if counts:
        failed = sum(counts.get(name, 0) for name in FAILED)
        shards = Shards(max(total, counts["total"]), counts.get("succeeded", 0), counts.get("running", 0), failed)
    else:
        shards = Shards(total, min(total, len(results.finished(place, execution.run)))) if total else Shards()
    images = planned.images if planned else 0
    return Progress(
        execution.run,
        execution.status,
        BY_MAP_RUN if counts else BY_FILES if planned else BY_NOBODY,
        shards,
        images,
        _share(images, shards),
        execution.started,
        (execution.ended or time.time()) - execution.started,
        ": ".join(filter(None, (execution.error, execution.cause))),
        execution.arn,
        failures=tuple(machine.failures(execution)) if shards.failed else (),
        not_decoded=planned.not_decoded if planned else {},
    )


def of_place(place: Place, run: str) -> Progress:
    """Return the progress of a run by its files only. Raises ClientError if no run of that name was planned there."""
    planned = results.plan(place, run)
    if planned is None:
        known = ", ".join(results.runs(place)) or "none"
        raise ClientError(f"no run {run} was planned in {place.label} (there: {known}): give --run, or start it")
    files = results.finished(place, run)
    shards = Shards(planned.shards, min(planned.shards, len(files)))
    times = sorted(entry.modified for entry in files)
    begun = planned.planned or next((at for name, at in place.entries(f"runs/{run}/") if name.endswith("plan.json")), 0)
    status = "SUCCEEDED" if shards.done == shards.total else "INCOMPLETE"
    seconds = times[-1] - begun if times else 0.0
    found = Progress(run, status, BY_FILES, shards, planned.images, _share(planned.images, shards), begun, seconds)
    return found._replace(not_decoded=planned.not_decoded)


def with_dollars(found: Progress, work: costs.Work, prices: Prices) -> Progress:
    """Add the cost of the finished shards, by the formula of the estimate."""
    if not found.shards.total:
        return found._replace(dollars=0.0)
    size = max(1, math.ceil(found.images / found.shards.total))
    share = found.images_done / max(1, found.images)
    objects = round(work.objects * share)
    spent = work._replace(images=found.images_done, objects=objects, shard_size=size)
    return found._replace(dollars=costs.total(costs.lines(spent, prices)))


def _share(images: int, shards: Shards) -> int:
    """Return the number of images in finished shards, as if all shards had the same size."""
    return images * shards.done // shards.total if shards.total else 0
