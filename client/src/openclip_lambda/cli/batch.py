"""`openclip-lambda batch`: the commands for a whole bucket or folder."""

from typing import Any

from openclip_lambda.batch.commands import errors, estimate, index, start, status

COMMANDS = (
    estimate.add_estimate,
    start.add_start,
    status.add_status,
    errors.add_errors,
    start.add_resume,
    index.add_index,
)


def add_batch(commands: Any) -> None:
    """Add the command's parser, which has commands of its own."""
    parser = commands.add_parser("batch", help="embed a whole bucket or folder; what it costs, how far it is")
    verbs = parser.add_subparsers(required=True, metavar="estimate | start | status | errors | resume | index")
    for add in COMMANDS:
        add(verbs)
