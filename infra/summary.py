"""`python -m infra.summary`: what `make synth` wrote, after CDK's own words, which name no file."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from console.parser import Parser
from console.run import run
from infra.errors import InfraError


class SummaryError(InfraError):
    """There is no synthesized template."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each template; returns the exit status."""
    return run(lambda: _command(arguments), (InfraError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m infra.summary", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("cdk.out"), help="default: %(default)s")
    out = parser.parse_args(arguments).out
    templates = sorted(out.glob("*.template.json"))
    if not templates:
        raise SummaryError(f"{out} holds no template: run `make synth`")
    for template in templates:
        try:
            resources = len(json.loads(template.read_text(encoding="utf-8"))["Resources"])
        except (ValueError, KeyError, TypeError) as error:
            raise SummaryError(f"{template} is damaged ({error!r}): run `make synth`") from error
        print(f"{template}: {resources} resources, and cdk-nag has no findings; `make deploy` deploys it")


if __name__ == "__main__":
    sys.exit(main())
