"""Arguments that several commands share, and the objects that they name."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from openclip_lambda.batch import aws, costs, measured, prices
from openclip_lambda.batch.aws import Aws, Deployment
from openclip_lambda.batch.places import Bucket, Directory, Place
from openclip_lambda.batch.state_machine import Machine
from openclip_lambda.bulk.tables import to_json
from openclip_lambda.bulk.terminal import print_bytes
from openclip_lambda.cli.parser import Parser, number, path
from openclip_lambda.errors import ClientError

ARCHITECTURES = ("x86_64", "arm64")
LARGEST_SHARD = 10_000  # as the planner has it


def common() -> Parser:
    """Return the arguments that all commands have."""
    parser = Parser(add_help=False)
    parser.add_argument("--region", help="of AWS; default: that of the environment")
    parser.add_argument("--profile", help="of ~/.aws; default: that of the environment")
    parser.add_argument("--json", action="store_true", help="print one JSON document for programs")
    return parser


def deployed() -> Parser:
    """Return the arguments that name a deployment, or the directory of a local run."""
    parser = Parser(add_help=False)
    parser.add_argument(
        "--stack", default=aws.default_stack(), help=f"with the outputs BatchMachine and BatchBucket ({aws.STACK})"
    )
    parser.add_argument("--machine", metavar="ARN", help="of the state machine, where no stack may be read")
    parser.add_argument("--bucket", help="that plans and results lie in, with --machine")
    parser.add_argument(
        "--output",
        type=_directory,
        metavar="DIRECTORY",
        help="of a run on this machine, in place of a stack; `start` makes ./vectors where none is named",
    )
    return parser


def priced() -> Parser:
    """Return the arguments that change what an image costs."""
    parser = Parser(add_help=False)
    parser.add_argument("--model", default=measured.DEFAULT, help="default: %(default)s")
    parser.add_argument("--recipe", default=measured.RECIPE, help="engine and precision; default: %(default)s")
    parser.add_argument(
        "--milliseconds", type=_positive, metavar="MS", help="of one processor for an image; default: what was measured"
    )
    parser.add_argument("--dimensions", type=number(1, 65536), metavar="D", help="of a vector, with --milliseconds")
    parser.add_argument(
        "--memory",
        type=number(128, 10240),
        metavar="MB",
        help="of a worker; default: the deployed one's, or a new one's",
    )
    parser.add_argument("--architecture", choices=ARCHITECTURES, help="default: the deployed worker's, or x86_64")
    parser.add_argument(
        "--price", action="append", default=[], metavar="NAME=DOLLARS", help="another price than the list's"
    )
    return parser


def deployment_of(options: argparse.Namespace, connection: Aws) -> Deployment:
    """Return the deployment that the arguments name. Raises ClientError where they name none."""
    if options.machine:
        if not options.bucket:
            raise ClientError("--machine needs --bucket, the bucket that plans and results lie in")
        return Deployment(options.machine, options.bucket)
    if not options.stack:
        raise ClientError(f"no deployment: give --stack (or {aws.STACK}), or --output for a run on this machine")
    return connection.deployment(options.stack)


class Deployed(NamedTuple):
    """A deployment's batch: where its files are, the machine that runs it, and the way to AWS."""

    place: Place
    machine: Machine
    deployment: Deployment
    connection: Aws


def deployed_of(options: argparse.Namespace) -> Deployed:
    """Return the deployment that the arguments name. Raises ClientError."""
    connection = Aws(options.region, options.profile)
    found = deployment_of(options, connection)
    place = Bucket(connection.client("s3"), found.bucket)
    return Deployed(place, Machine(connection.client("stepfunctions"), found.machine), found, connection)


def place_of(options: argparse.Namespace) -> Place:
    """Return where the files are: a directory of this machine, or a deployment's bucket."""
    return Directory(options.output) if options.output else deployed_of(options).place


def folder_of(source: str) -> Path:
    """Return the folder that a source names. Raises ClientError if it is empty, as of a variable that is not set."""
    if not source:
        raise ClientError("the source is empty: name a folder, or s3://bucket/prefix")
    if not Path(source).is_dir():
        raise ClientError(f"{Path(source)} is no folder: name one, or s3://bucket/prefix")
    return Path(source)


def work_of(options: argparse.Namespace, images: int, objects: int, worker: tuple[int, str] | None) -> costs.Work:
    """Return a run's work by the arguments. `worker` is the memory and architecture of the deployed worker."""
    if options.milliseconds:
        dimensions, milliseconds, usual = options.dimensions or 512, options.milliseconds, measured.ONE_PROCESSOR
    else:
        dimensions, milliseconds, usual = measured.measured(options.model, options.recipe)
    memory, architecture = worker or (usual, "x86_64")
    return costs.Work(
        images,
        objects,
        options.dimensions or dimensions,
        milliseconds,
        options.memory or memory,
        options.architecture or architecture,
    )


def prices_of(options: argparse.Namespace) -> prices.Prices:
    """Return the list prices with the user's changes."""
    return prices.with_changes(options.price)


def worker_of(connection: Aws, deployment: Deployment) -> tuple[int, str] | None:
    """Return memory (MB) and architecture of the deployed worker; None where that may not be read."""
    if not deployment.worker:
        return None
    try:
        with aws.asking(deployment.worker):
            found = connection.client("lambda").get_function_configuration(FunctionName=deployment.worker)
    except ClientError:
        return None  # an estimate needs no permission on the function
    return int(found["MemorySize"]), str((found.get("Architectures") or ["x86_64"])[0])


def show(options: argparse.Namespace, document: dict[str, Any], lines: list[str]) -> None:
    """Print a document for programs where that was asked for, else lines for people; both on standard output."""
    told = to_json(document) if options.json else "\n".join(lines).encode(errors="backslashreplace")
    print_bytes(told + b"\n")


def _directory(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no directory: name one")
    return path(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds above 0")
    return value
