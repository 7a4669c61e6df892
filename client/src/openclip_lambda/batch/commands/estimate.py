"""`openclip-lambda batch estimate`: images, bytes, hours and dollars, before anything is started."""

import argparse
import os
from typing import Any

from openclip_lambda.batch import costs, local, measured, prices, sample
from openclip_lambda.batch.aws import Aws, asking, split
from openclip_lambda.batch.commands.options import (
    LARGEST_SHARD,
    common,
    folder_of,
    priced,
    prices_of,
    show,
    work_of,
    worker_of,
)
from openclip_lambda.batch.costs import Line, Work
from openclip_lambda.batch.sample import Survey
from openclip_lambda.bulk.terminal import printable, say
from openclip_lambda.cli.parser import number
from openclip_lambda.counts import counted

REQUESTS = 400  # of the sample, $0.002
UNSURE = 0.2  # relative standard error above which a sample is called rough


def add_estimate(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("estimate", parents=[common(), priced()], help="images, hours and dollars of a run")
    parser.add_argument("source", help="s3://bucket/prefix, or a folder of this machine")
    parser.add_argument("--stack", help="whose worker's memory, architecture and image formats are taken")
    parser.add_argument(
        "--images", type=number(1, 999_999_999), metavar="N", help="how many there are: nothing is listed"
    )
    parser.add_argument(
        "--requests",
        type=number(4, 100_000),
        default=REQUESTS,
        metavar="N",
        help="of the sample, at most; default: %(default)s",
    )
    parser.add_argument(
        "--shard-size",
        type=number(1, LARGEST_SHARD),
        default=1000,
        metavar="N",
        help="images a shard; default: %(default)s",
    )
    parser.add_argument(
        "--concurrency", type=number(1, 10_000), default=50, metavar="N", help="workers at once; default: %(default)s"
    )
    parser.set_defaults(run=_estimate)


def _estimate(options: argparse.Namespace) -> int:
    table = prices_of(options)
    if not options.source.startswith("s3://"):
        return _folder(options)
    bucket, prefix = split(options.source)
    connection = Aws(options.region, options.profile)
    deployment = connection.deployment(options.stack) if options.stack else None
    taken = sample.endings(deployment.image_formats if deployment else ())
    found = Survey(options.images, options.images, 0)
    if not options.images:
        found = _listed(connection, f"{bucket}/{prefix}", options.requests, taken)
    worker = worker_of(connection, deployment) if deployment else None
    work = work_of(options, found.images, found.objects, worker)
    work = work._replace(shard_size=options.shard_size, concurrency=options.concurrency)
    lines = costs.lines(work, table)
    document = {
        **_counted(options.source, found),
        "hours": work.hours,
        "milliseconds": work.vcpu_milliseconds,
        "dollars": costs.total(lines),
        "dollars_per_million_images": costs.total(lines) / found.images * 1e6 if found.images else None,
        "lines": [line._asdict() for line in lines],
        "prices": _prices(table),
        "work": work._asdict(),
    }
    show(options, document, [*_head(options.source, found), *_table(work, lines), *_basis(options, work, bool(worker))])
    _warn(options, work, found)
    if connection.region not in ("", prices.REGION):
        say(f"prices are those of {prices.REGION}, and differ in {connection.region}: --price changes one")
    return 0


def _listed(connection: Aws, source: str, requests: int, taken: tuple[str, ...]) -> Survey:
    s3, (bucket, _, prefix) = connection.client("s3"), source.partition("/")
    say(f"looking at s3://{source}, with {counted(requests, 'request')} at most")

    def page(**asked: Any) -> dict[str, Any]:
        with asking(f"s3://{bucket}"):
            return dict(s3.list_objects_v2(Bucket=bucket, **asked))

    return sample.of_bucket(page, prefix, requests, taken)


def _folder(options: argparse.Namespace) -> int:
    """Say how long a folder takes on this machine; it costs no dollars."""
    found = sample.of_folder(folder_of(options.source), sample.endings(local.image_formats()))
    work, processors = work_of(options, found.images, found.objects, None), os.cpu_count() or 1
    hours = found.images * work.vcpu_milliseconds / 1000 / costs.WORKER_SHARE / processors / 3600
    document = {
        **_counted(options.source, found),
        "hours": hours,
        "milliseconds": work.vcpu_milliseconds,
        "dollars": None,
    }
    how = f"{_hours(hours)} on {counted(processors, 'processor')} as fast as those of the benchmark"
    show(options, document, [*_head(options.source, found), how, *_basis(options, work, False)[:1]])
    return 0


def _prices(table: prices.Prices) -> dict[str, Any]:
    about = {"region": prices.REGION, "date": prices.DATE, "pages": prices.PAGES, "sources": prices.SOURCES}
    return {**about, **table._asdict()}


def _counted(source: str, found: Survey) -> dict[str, Any]:
    return {
        "source": source,
        "images": found.images,
        "objects": found.objects,
        "bytes": found.bytes,
        "counted": found.error == 0 and found.complete,
        "relative_error": found.error,
        "complete": found.complete,
        "requests": found.requests,
    }


def _head(source: str, found: Survey) -> list[str]:
    how = (
        "counted" if found.error == 0 else f"estimated from {counted(found.requests, 'request')}, +- {found.error:.0%}"
    )
    if source.startswith("s3://") and not found.requests:
        how = "as --images says"
    if not found.complete:
        how = f"at least: {counted(found.requests, 'request')} did not reach the end"
    size = f", {found.bytes / 1e9:,.1f} GB" if found.bytes else ""
    return [
        f"{printable(source)}: {counted(found.images, 'image')}{size} in {counted(found.objects, 'object')} ({how})"
    ]


def _table(work: Work, lines: list[Line]) -> list[str]:
    rows = [f"{'dollars':>10}  line" + " " * 16 + "quantity"]
    rows += [f"{line.dollars:10.4f}  {line.name:18}  {_amount(line)}: {line.formula}" for line in lines]
    whole = costs.total(lines)
    million = f" (${whole / work.images * 1e6:.2f} a million images)" if work.images else ""
    return [
        *rows,
        f"{whole:10.4f}  in all{million}",
        f"{_hours(work.hours)} with {counted(work.workers, 'worker')} of {work.memory:,} MB at once",
    ]


def _basis(options: argparse.Namespace, work: Work, deployed: bool) -> list[str]:
    given = f"{work.vcpu_milliseconds:g} ms of one processor for an image: "
    if options.milliseconds:
        given += "as --milliseconds says"
    else:
        given += f"{options.model}, {options.recipe}, `{measured.COMMAND}` of {measured.DATE} on {measured.MACHINE}"
    changed = f", but {', '.join(options.price)}" if options.price else ""
    return [
        given,
        f"list prices of {prices.REGION}, {prices.DATE}{changed}; no free tier, nothing tried again",
        f"workers of {work.architecture}, {'as deployed' if deployed else 'assumed: --stack names a deployment'}",
    ]


def _amount(line: Line) -> str:
    if line.quantity == 1:
        return f"1 {line.unit.removesuffix('s')}"
    return f"{line.quantity:,.0f} {line.unit}" if line.quantity >= 100 else f"{line.quantity:.3g} {line.unit}"


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{hours * 60:,.1f} minutes" if hours * 60 >= 1 else f"{hours * 3600:,.1f} seconds"


def _warn(options: argparse.Namespace, work: Work, found: Survey) -> None:
    if work.shard_size * work.image_seconds > costs.LIMIT_SECONDS:
        fits = max(1, int(costs.LIMIT_SECONDS * 0.8 / work.image_seconds))
        say(f"warning: a shard would take longer than Lambda's 15 minutes: start with --shard-size {fits}")
    if work.architecture == "arm64" and not options.milliseconds:
        say("warning: the milliseconds were measured on x86_64 alone: measure on arm64, and give --milliseconds")
    if not found.complete or found.error > UNSURE:
        say("warning: the keys are spread too unevenly for this sample: raise --requests, or give --images")
