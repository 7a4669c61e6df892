"""`openclip-lambda batch index`: the search index anew, from the Parquet files."""

import argparse
from typing import Any

from openclip_lambda.batch import local
from openclip_lambda.batch.commands.options import common, show
from openclip_lambda.errors import ClientError

MODULE, NEEDS = "handler.search", "handler.search.rebuild, lancedb, pyarrow"


def add_index(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("index", parents=[common()], help="build the search index anew from the vectors")
    parser.add_argument("--vectors", required=True, metavar="PLACE", help="a run's output directory, or s3://bucket")
    parser.add_argument("--index", required=True, metavar="PLACE", help="a directory, or s3://bucket/prefix")
    parser.set_defaults(run=_index, bundle=None)


def _index(options: argparse.Namespace) -> int:
    status = local.run(
        MODULE, ["rebuild", "--vectors", options.vectors, "--index", options.index], NEEDS, None, lambda: None
    )
    if status:
        raise ClientError(f"the index was not built (exit status {status}): the lines above say why; the old one stays")
    show(options, {"index": options.index, "vectors": options.vectors}, [f"the index is in {options.index}"])
    return 0
