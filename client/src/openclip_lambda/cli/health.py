"""`openclip-lambda health`."""

import argparse
import json
from typing import Any

from openclip_lambda.bulk.terminal import print_bytes
from openclip_lambda.cli.options import api_of, api_options
from openclip_lambda.errors import ClientError


def add_health(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("health", parents=[api_options()], help="what runs there; exit status 1 if not well")
    parser.add_argument("--deep", action="store_true", help="hash the bundle and compare the golden vectors")
    parser.set_defaults(run=_health)


def _health(options: argparse.Namespace) -> int:
    api = api_of(options)
    health = api.get("/health?deep=true" if options.deep else "/health")
    if not isinstance(health, dict) or "status" not in health:
        raise ClientError(f"{api.url}/health answered without a `status`: is it the stack's output Url?")
    print_bytes(json.dumps(health, indent=None if options.json else 1).encode() + b"\n")
    return 0
