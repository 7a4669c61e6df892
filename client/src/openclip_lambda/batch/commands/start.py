"""`openclip-lambda batch start` and `resume`: a run on AWS, or on this machine for a folder."""

import argparse
import contextlib
import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from openclip_lambda.batch import local, progress, results
from openclip_lambda.batch.aws import split
from openclip_lambda.batch.commands.options import (
    LARGEST_SHARD,
    Deployed,
    common,
    deployed,
    deployed_of,
    folder_of,
    priced,
    show,
)
from openclip_lambda.batch.commands.status import lines, newest, watched
from openclip_lambda.batch.places import Directory
from openclip_lambda.batch.progress import Progress
from openclip_lambda.batch.state_machine import Execution, checked_run
from openclip_lambda.bulk.terminal import say
from openclip_lambda.cli.command import INTERRUPTED
from openclip_lambda.cli.parser import number
from openclip_lambda.counts import counted
from openclip_lambda.errors import ClientError

OUTPUT = Path("vectors")  # of a folder's run, where none is named
LOCAL = "local"  # the name of a folder's run, as `python -m handler.batch` has it
NEEDS = "handler.batch.app, arro3.core, arro3.io"
MODULE = "handler.batch"


def add_start(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "start", parents=[common(), deployed(), priced()], help="embed a bucket, or a folder of this machine"
    )
    parser.add_argument("source", help="s3://bucket/prefix of the deployment, or a folder of this machine")
    parser.add_argument(
        "--run",
        dest="name",
        help="its name: the same again does what is missing; default: the time, or `local` of a folder",
    )
    parser.add_argument(
        "--since", metavar="TIME", help="only objects modified since, such as 2026-01-31 or 2026-01-31T12:00Z"
    )
    parser.add_argument(
        "--shard-size", type=number(1, LARGEST_SHARD), metavar="N", help="images in one Parquet file; default: 1000"
    )
    parser.add_argument(
        "--changes", action="store_true", help="of a folder: what is new or changed since the runs of its output"
    )
    parser.add_argument("--wait", action="store_true", help="stay until a run on AWS is over")
    _local(parser)
    parser.set_defaults(run=_start)


def add_resume(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "resume", parents=[common(), deployed(), priced()], help="go on with a run that ended early"
    )
    parser.add_argument("--run", dest="name", help="its name; default: the latest")
    parser.add_argument("--wait", action="store_true", help="stay until a run on AWS is over")
    _local(parser)
    parser.set_defaults(run=_resume)


def _local(parser: Any) -> None:
    parser.add_argument(
        "--processes", type=number(1, 512), metavar="N", help="of a folder's run; default: one a processor"
    )
    parser.add_argument(
        "--bundle", type=Path, metavar="DIRECTORY", help=f"of a folder's run; default: {local.BUNDLE}, or build/bundle"
    )


def _start(options: argparse.Namespace) -> int:
    if not options.source.startswith("s3://"):
        return _folder(options, folder_of(options.source), options.name or (_new_name() if options.changes else LOCAL))
    if options.changes:
        raise ClientError("--changes is for a folder of this machine: of a bucket, --since takes what was modified")
    if options.output:
        raise ClientError("--output is for a folder of this machine: a bucket's results lie in the deployment's bucket")
    bucket, prefix = split(options.source)
    run = checked_run(options.name or _new_name())
    target = deployed_of(options)
    source = f"s3://{bucket}/{prefix}"
    _check_source(source, target.deployment.source)
    asked = {"source": source, "since": _time(options.since), "shard_size": options.shard_size}
    if planned := results.plan(target.place, run):
        if planned.source not in ("", source):
            raise ClientError(f"run {run} is of {planned.source}, not of {source}: give another --run")
        say(f"run {run} was planned before, with {counted(planned.images, 'image')}: it does what is missing")
    given = {name: value for name, value in asked.items() if value}
    return _started(options, target, target.machine.start(run, given), "started")


def _resume(options: argparse.Namespace) -> int:
    if options.output:
        place = Directory(options.output)
        run = options.name or _latest(place)
        planned = results.plan(place, run)
        if planned is None or not planned.source:
            known = ", ".join(results.runs(place))
            there = f" (there: {known}): give --run, or" if known else ":"
            raise ClientError(
                f"no run {run} was planned in {options.output}{there} `batch start <folder> --output {options.output}`"
            )
        return _folder(options, folder_of(planned.source), run)
    target = deployed_of(options)
    latest = newest(options, target)
    if not latest.over:
        raise ClientError(f"run {latest.run} is on its way: `batch status --run {latest.run}` shows it")
    how, execution = target.machine.resume(latest)
    return _started(options, target, execution, how)


def _started(options: argparse.Namespace, target: Deployed, execution: Execution, how: str) -> int:
    if options.wait:
        say(f"run {execution.run} {how}: {execution.arn}")
        return watched(options, target, execution)
    document = {"run": execution.run, "how": how, "status": execution.status, "execution": execution.arn}
    show(options, document, [f"run {execution.run} {how}: `batch status --run {execution.run}` shows how far it is"])
    return 0


def _folder(options: argparse.Namespace, source: Path, run: str) -> int:
    """Run a folder to its end. Ctrl-C stops it: what is finished is kept, and the same command goes on."""
    if getattr(options, "since", None):
        raise ClientError("--since is for a bucket: of a folder, --changes takes what is new or changed")
    output: Path = options.output or OUTPUT
    arguments = [_named(source), "--output", _named(output), "--run", checked_run(run)]
    for name in ("shard_size", "processes"):
        if value := getattr(options, name, None):
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    if getattr(options, "changes", False):
        arguments.append("--changes")
    planned = results.plan(Directory(output), run)
    if planned and not _is(source, planned.source):
        raise ClientError(f"run {run} in {output} is of {planned.source}: give another --output")
    place, bundle = Directory(output), functools.partial(local.bundle_of, options.bundle)
    try:
        with tqdm(unit="image", disable=True if options.json else None) as bar:
            status = local.run(MODULE, arguments, NEEDS, lambda: _advance(bar, place, run), bundle)
    except KeyboardInterrupt:
        say(f"stopped: `batch resume --output {output} --run {run}` goes on")
        return INTERRUPTED
    found = progress.of_place(place, run) if results.plan(place, run) else None
    if found is None:
        return status or 1
    failed = sum(row.images for row in results.failures(place, run, 0))
    show(options, {**found.document(), "failed": failed, "exit_status": status}, _ended(found, failed, output))
    return status if status >= 0 else 1  # a signal ended it


def _latest(place: Directory) -> str:
    """Return the run of a folder that was planned last."""
    planned = [(0.0, LOCAL)]
    for run in results.runs(place):
        with contextlib.suppress(ClientError):  # of another one: the plan of a run that is given is told
            found = results.plan(place, run)
            if found and found.source and not found.source.startswith("s3://"):
                planned.append((found.planned, run))
    return max(planned)[1]


def _named(path: Path) -> str:
    """Write a path as an argument: `Path("./-photos")` is `-photos`, which would be taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _is(source: Path, planned: str) -> bool:
    return str(source.absolute()) == planned or (Path(planned).exists() and source.samefile(planned))


def _advance(bar: Any, place: Directory, run: str) -> None:
    if bar.disable or results.plan(place, run) is None:
        return
    found = progress.of_place(place, run)
    bar.total = found.images
    bar.update(found.images_done - bar.n)


def _ended(found: Progress, failed: int, output: Path) -> list[str]:
    told = [*lines(found), f"results are in {output}"]
    if failed:
        told.append(f"{counted(failed, 'image')} could not be embedded: see `batch errors --output {output}`")
    return told


def _check_source(source: str, deployed_source: str) -> None:
    """Raise ClientError where the source is no part of what is deployed. With --machine the planner alone knows."""
    own = f"s3://{deployed_source}" if "/" in deployed_source else f"s3://{deployed_source}/"
    if deployed_source and not source.startswith(own):
        raise ClientError(
            f"{source} is not what this stack embeds, {own}: name that or a part of it, or deploy with "
            f"`-c batch_source={source.removeprefix('s3://')}`"
        )


def _time(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ClientError(
            f"--since {text!r}: give a date or a time, such as 2026-01-31 or 2026-01-31T12:00Z"
        ) from error
    if (found if found.tzinfo else found.replace(tzinfo=UTC)) > datetime.now(UTC):
        raise ClientError(f"--since {text}: that is in the future")
    return text


def _new_name() -> str:
    """Name a run by its time, in milliseconds: a script may start two in one second."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03}"
