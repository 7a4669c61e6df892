"""Read the CDK CLI's arguments and cdk.json, for the commands that a target of the Makefile runs beside it.

`python -m infra.command_line`, with the CDK CLI's arguments, refuses those that it would pass over.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.parser import Parser
from console.run import run
from infra import passed_over
from infra.errors import InfraError

CDK_JSON = Path("cdk.json")  # of the directory in which CDK runs
OUTPUT = "cdk.out"  # CDK's own default


@dataclass(frozen=True)
class CommandLine:
    """`context` is of cdk.json and `-c`, as StackSettings takes it; `output` is where CDK writes."""

    context: dict[str, Any]
    output: Path
    profile: str | None
    region: str | None
    options: argparse.Namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """Say nothing where no setting would be passed over; returns the exit status."""
    return run(lambda: _command(arguments), (InfraError,))


def _command(arguments: Sequence[str] | None) -> None:
    read(Parser(prog="python -m infra.command_line", description=__doc__, allow_abbrev=False), arguments)


def read(parser: Parser, arguments: Sequence[str] | None) -> CommandLine:
    """Read the CDK CLI's arguments and cdk.json. What CDK alone understands is left to it.

    Raises SettingsError for a setting that CDK, or make, would pass over.
    """
    parser.add_argument("--profile", help="of the AWS configuration")
    parser.add_argument("--region", help="as the CDK CLI takes it")
    parser.add_argument("-c", "--context", action="append", default=[], help="as the CDK CLI takes it")
    parser.add_argument("-o", "--output", help="as the CDK CLI takes it")
    options, rest = parser.parse_known_args(arguments)
    passed_over.refuse(options.context, rest, os.environ)
    written = _cdk_json()
    context = written.get("context")
    given = dict(pair.partition("=")[::2] for pair in options.context)
    return CommandLine(
        {**(context if isinstance(context, dict) else {}), **given},
        Path(str(options.output or written.get("output") or OUTPUT)),
        options.profile or written.get("profile"),
        options.region or written.get("region"),
        options,
    )


def _cdk_json() -> dict[str, Any]:
    """Return cdk.json; nothing of one that cannot be read, which CDK refuses itself."""
    try:
        written = json.loads(CDK_JSON.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return written if isinstance(written, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
