"""`openclip-lambda batch status`: how far a run is, once or as a live bar."""

import argparse
import functools
import sys
import time
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from openclip_lambda.batch import progress, results
from openclip_lambda.batch.commands.options import (
    Deployed,
    common,
    deployed,
    deployed_of,
    priced,
    prices_of,
    show,
    work_of,
    worker_of,
)
from openclip_lambda.batch.places import Directory, Place
from openclip_lambda.batch.progress import BY_FILES, BY_NOBODY, Progress
from openclip_lambda.batch.sample import ADDED
from openclip_lambda.batch.state_machine import Execution, checked_run
from openclip_lambda.bulk.terminal import printable, say
from openclip_lambda.cli.command import FAILED, INTERRUPTED, SOME
from openclip_lambda.counts import counted
from openclip_lambda.errors import ClientError

POLL_SECONDS = 5.0
ENDED_BADLY = ("FAILED", "TIMED_OUT", "ABORTED")


def add_status(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("status", parents=[common(), deployed(), priced()], help="how far a run is")
    parser.add_argument("--run", dest="name", help="its name; default: the latest")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--wait", action="store_true", help="stay until it is over, also where no terminal shows a bar")
    how.add_argument("--once", action="store_true", help="look once, also where a terminal could show a bar")
    parser.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    if options.output:
        place = Directory(options.output)
        found = progress.of_place(place, options.name or _only_run(place))
        show(options, found.document(), lines(found))
        return 0
    target = deployed_of(options)
    execution = newest(options, target)
    live = options.wait or (sys.stderr is not None and sys.stderr.isatty() and not options.once and not options.json)
    if live and not execution.over:
        return watched(options, target, execution)
    found = Looker(options, target)(execution)
    show(options, found.document(), lines(found))
    return exit_status(found)


def newest(options: argparse.Namespace, target: Deployed) -> Execution:
    """Return the latest execution of the run that the arguments name, or of any. Raises ClientError for none."""
    found = target.machine.newest(checked_run(options.name) if options.name else None)
    if found is None:
        raise ClientError(f"there is no run {options.name or 'yet'} of {target.machine.arn}: `batch start` makes one")
    return found


class Looker:
    """Reads the progress of an execution, with its cost so far."""

    def __init__(self, options: argparse.Namespace, target: Deployed) -> None:
        self._target, self._prices = target, prices_of(options)
        self._work = functools.partial(work_of, options, worker=worker_of(target.connection, target.deployment))

    def __call__(self, execution: Execution) -> Progress:
        """Return the progress now."""
        found = progress.of_execution(self._target.machine, execution, self._target.place)
        return progress.with_dollars(found, self._work(found.images, found.images), self._prices)


def watched(options: argparse.Namespace, target: Deployed, execution: Execution) -> int:
    """Show a bar until the run is over, then its outcome. Ctrl-C ends the bar, not the run."""
    look, seen = Looker(options, target), -1
    try:
        with tqdm(unit="image", disable=True if options.json else None) as bar:
            while True:
                found = look(execution)
                bar.total = found.images or None
                bar.set_postfix_str(f"${found.dollars or 0:.2f} so far", refresh=False)
                bar.update(found.images_done - bar.n)
                if bar.disable and found.shards.done > seen:
                    seen = found.shards.done
                    say(lines(found)[0])
                if execution.over:
                    break
                time.sleep(POLL_SECONDS)
                execution = target.machine.again(execution)
    except KeyboardInterrupt:
        say(f"the run goes on: `batch status --run {execution.run}` shows it again")
        say(f"`aws stepfunctions stop-execution --execution-arn {execution.arn}` ends it")
        return INTERRUPTED
    show(options, found.document(), lines(found))
    return exit_status(found)


def exit_status(found: Progress) -> int:
    """Return 1 if the run failed, 3 if only shards failed, else 0."""
    if found.status in ENDED_BADLY:
        return FAILED
    return SOME if found.shards.failed and found.status == "SUCCEEDED" else 0


def lines(found: Progress) -> list[str]:
    """Return the lines to print for people."""
    told = [f"run {found.run}: {found.status}, the source is being listed"]
    if found.counted_by != BY_NOBODY:
        failed = f", {found.shards.failed:,} failed" if found.shards.failed else ""
        shards = f"{found.shards.done:,} of {counted(found.shards.total, 'shard')} done{failed}"
        told = [f"run {found.run}: {found.status}, {shards}; {_images(found)}"]
        told.append(_pace(found))
    if found.counted_by == BY_FILES and found.execution and found.shards.total:
        told.append("counted by the Parquet files that are there: the map run gives no counts")
    if found.not_decoded:
        told.append(_not_decoded(found.not_decoded))
    if found.cause:
        told.append(f"cause: {printable(found.cause)}")
    told += [f"a shard failed: {printable(reason)}" for reason in found.failures]
    if found.status in (*ENDED_BADLY, "INCOMPLETE") or (found.shards.failed and found.status == "SUCCEEDED"):
        told.append("`batch resume` does what is missing")
    return told


def _not_decoded(others: Mapping[str, int]) -> str:
    names = ", ".join(f"{count:,} {ending}" for ending, count in sorted(others.items()))
    more = [f'"{name}"' for name, suffixes in ADDED.items() if {*suffixes} & {*others}]
    built = f", or build the bundle with image_formats = [{', '.join(more)}]" if more else ""
    return f"left out, since the bundle does not decode them: {names}: convert them to JPEG, PNG or WebP{built}"


def _images(found: Progress) -> str:
    if found.images_done == found.images:
        return counted(found.images, "image")
    return f"about {found.images_done:,} of {counted(found.images, 'image')}"


def _pace(found: Progress) -> str:
    left = f", {_clock(found.left)} left" if found.left is not None else ""
    spent = f"; ${found.dollars:.4f} so far, by the estimate's formula" if found.dollars is not None else ""
    return f"{_clock(found.seconds)}, {found.rate:,.1f} images a second{left}{spent}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _only_run(place: Place) -> str:
    names = results.runs(place)
    if not names:
        raise ClientError(f"{place.label} has no runs: `batch start <folder> --output {place.label}` makes one")
    if len(names) > 1:
        raise ClientError(f"{place.label} has several runs: give --run, one of {', '.join(names)}")
    return names[0]
