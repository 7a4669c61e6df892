"""The command line: `openclip-lambda embed | classify | search | health | batch`."""

from collections.abc import Sequence

from openclip_lambda.bulk.terminal import quiet_libraries
from openclip_lambda.cli import batch, health, search, work
from openclip_lambda.cli.command import run
from openclip_lambda.cli.parser import Parser, add_completion

COMMANDS = (work.add_embed, work.add_classify, search.add_search, health.add_health, batch.add_batch)


def main(arguments: Sequence[str] | None = None, program: str = "openclip-lambda") -> int:
    """Run one command; returns the exit status. An error is one message on stderr, never a traceback."""
    return run(lambda: _command(arguments, program))


def _command(arguments: Sequence[str] | None, program: str) -> int:
    options = parser(program).parse_args(arguments)
    quiet_libraries()
    status: int = options.run(options)
    return status


def parser(program: str) -> Parser:
    """Return the parser of the whole command line."""
    made = Parser(prog=program, description="Ask a deployed embeddings API.")
    commands = made.add_subparsers(required=True, metavar="embed | classify | search | health | batch")
    for add in COMMANDS:
        add(commands)
    add_completion(made)
    return made
