"""`python -m infra.summary`: what `make synth` wrote, after CDK's own words, which name no file.

It takes the CDK CLI's arguments, and heeds `--output` among them.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from console.parser import Parser
from console.run import run
from infra import command_line
from infra.errors import InfraError

STACK = "aws:cloudformation:stack"  # among an assembly's artifacts


class SummaryError(InfraError):
    """There is no synthesized template."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each template; returns the exit status."""
    return run(lambda: _command(arguments), (InfraError,))


def _command(arguments: Sequence[str] | None) -> None:
    out = command_line.read(Parser(prog="python -m infra.summary", description=__doc__), arguments).output
    for template in _templates(out):
        try:
            resources = len(json.loads(template.read_text(encoding="utf-8"))["Resources"])
        except (ValueError, KeyError, TypeError) as error:
            raise SummaryError(f"{template} is damaged ({error!r}): run `make synth`") from error
        print(f"{template}: {resources} resources, and cdk-nag has no findings; `make deploy` deploys it")


def _templates(out: Path) -> list[Path]:
    """Return the templates of the last synth: those of earlier ones, of stacks that there are no more, stay beside."""
    manifest = out / "manifest.json"
    try:
        artifacts = json.loads(manifest.read_text(encoding="utf-8"))["artifacts"].values()
        stacks = [one["properties"]["templateFile"] for one in artifacts if one["type"] == STACK]
    except FileNotFoundError as error:
        raise SummaryError(f"{out} holds no template: run `make synth`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SummaryError(f"{manifest} is damaged ({error!r}): run `make synth`") from error
    return [out / str(name) for name in sorted(stacks)]


if __name__ == "__main__":
    sys.exit(main())
