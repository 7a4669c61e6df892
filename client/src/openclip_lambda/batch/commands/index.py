"""`openclip-lambda batch index`: the search index anew, from the Parquet files."""

import argparse
import json
from typing import Any

from openclip_lambda.batch import aws, local
from openclip_lambda.batch.aws import Aws, asking
from openclip_lambda.batch.commands.options import common, show
from openclip_lambda.bulk.terminal import printable, say
from openclip_lambda.errors import ClientError

MODULE, NEEDS = "handler.search", "handler.search, lancedb, pyarrow"
OUTPUT_REBUILD = "SearchRebuild"
STAYS = "An index in LanceDB stays as it was; one in S3 Vectors may have a part, and the same command goes on"


def add_index(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("index", parents=[common()], help="build the search index anew from the vectors")
    parser.add_argument("--stack", default=aws.default_stack(), help="whose rebuild function runs, on AWS")
    parser.add_argument(
        "--vectors", metavar="PLACE", help="in place of a stack: a run's output directory, or s3://bucket"
    )
    parser.add_argument("--index", metavar="PLACE", help="with --vectors: a directory, or s3://bucket/prefix")
    parser.add_argument(
        "--manifest", metavar="HASH", help="where vectors are of several bundles: whose, by its beginning"
    )
    parser.add_argument(
        "--exif-orientation", choices=("true", "false"), help="where vectors are of both: whose, by the setting"
    )
    parser.set_defaults(run=_index)


def _index(options: argparse.Namespace) -> int:
    if options.vectors or options.index:
        return _here(options)
    if not options.stack:
        raise ClientError(
            f"no deployment: give --stack (or {aws.STACK}), or --vectors and --index to do it on this machine"
        )
    connection = Aws(options.region, options.profile)
    function = connection.outputs(options.stack).get(OUTPUT_REBUILD)
    if function is None:
        raise ClientError(f"the stack {options.stack} has no search: see docs/collections.md on how to deploy it")
    for name in ("--manifest", "--exif-orientation"):
        if getattr(options, name[2:].replace("-", "_")):
            raise ClientError(f"{name} goes with --vectors: a deployment's index is of its own bundle and settings")
    say(f"{function} builds the index anew; an old one in LanceDB serves until it is done")
    with asking(function):
        answer = connection.client("lambda", 900).invoke(FunctionName=function, Payload=b"{}")
        told = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        reason = told.get("errorMessage", told) if isinstance(told, dict) else told
        raise ClientError(
            f"{function}: {printable(str(reason))}. {STAYS}. Where 15 minutes are too short: `batch index --vectors "
            "s3://<BatchBucket> --index s3://<BatchBucket>/index` on a machine of the region (with S3 Vectors --index "
            "s3vectors:<stack>-vectors/<index>)"
        )
    facts = ", ".join(f"{name} {value}" for name, value in told.items()) if isinstance(told, dict) else str(told)
    show(options, {"function": function, "answer": told}, [f"the index is new: {facts}"])
    return 0


def _here(options: argparse.Namespace) -> int:
    if not options.vectors or not options.index:
        raise ClientError("--vectors and --index go together: what is read, and where the index is made")
    words = ["rebuild", "--vectors", options.vectors, "--index", options.index]
    words += ["--manifest", options.manifest] if options.manifest else []
    words += ["--exif-orientation", options.exif_orientation] if options.exif_orientation else []
    status = local.run(MODULE, words, NEEDS, aloud=True)
    if status:
        raise ClientError(f"the index was not built (exit status {status}): the lines above say why. {STAYS}")
    show(options, {"index": options.index, "vectors": options.vectors}, [f"the index is in {options.index}"])
    return 0
