"""`openclip-lambda batch errors`: the images that have no vector, by error code."""

import argparse
from typing import Any

from openclip_lambda.batch import results
from openclip_lambda.batch.commands.options import common, deployed, place_of, show
from openclip_lambda.batch.places import Place
from openclip_lambda.batch.state_machine import RESERVED
from openclip_lambda.bulk.terminal import printable
from openclip_lambda.cli.parser import number
from openclip_lambda.counts import counted
from openclip_lambda.errors import ClientError

FEW, MANY = 5, 1000


def add_errors(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("errors", parents=[common(), deployed()], help="images that could not be embedded")
    parser.add_argument("--run", dest="name", help="of one run; default: all, with what came after them (arrivals)")
    parser.add_argument(
        "--keys", type=number(0, 1_000_000), metavar="N", help=f"of each code; default: {FEW}, with --json {MANY}"
    )
    parser.set_defaults(run=_errors)


def _errors(options: argparse.Namespace) -> int:
    place = place_of(options)
    _check(place, options.name)
    keys = options.keys if options.keys is not None else MANY if options.json else FEW
    table = results.failures(place, options.name, keys)
    total = sum(row.images for row in table)
    of = f"run {options.name}" if options.name else "all runs"
    lines = [f"{counted(total, 'image')} could not be embedded ({of}, {place.label})"]
    for row in table:
        lines.append(f"{row.images:8,}  {row.code}: {printable(row.message)}")
        lines += [f"          {printable(_place(key))}" for key in row.keys]
        if row.images > len(row.keys) > 0:
            lines.append(f"          and {row.images - len(row.keys):,} more: --keys {row.images}")
    document = {"run": options.name, "total": total, "codes": [row._asdict() for row in table]}
    show(options, document, lines)
    return 0


def _check(place: Place, run: str | None) -> None:
    """Raise ClientError where there is no such run, which is not the same as none of its images failed."""
    known = results.runs(place)
    if run and run not in (*known, *RESERVED):
        raise ClientError(
            f"no run {run} was planned in {place.label} (there: {', '.join(known) or 'none'}): give --run"
        )
    if not known and not place.folders("errors/"):
        raise ClientError(f"{place.label} has no runs: look at --output and --stack, or `batch start` one")


def _place(key: dict[str, str]) -> str:
    return f"s3://{key['bucket']}/{key['key']}" if key["bucket"] else key["key"]
