"""`python -m layer init`: a project folder outside of the checkout."""

import argparse
from pathlib import Path

from console.parser import Parser
from layer.cli import models_file
from layer.cli.printer import printer
from layer.spec import DEFAULT_SPEC


def add(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    init = commands.add_parser(
        "init",
        help="make a project folder of your own: models.toml, code of your own, settings; upgrades leave it alone",
    )
    init.add_argument("folder", type=Path, help="a folder that is not there yet, outside of this checkout")
    init.add_argument("--models", type=Path, default=DEFAULT_SPEC, help="what it begins with (default: %(default)s)")
    init.add_argument(
        "--extensions", type=Path, metavar="HANDLER_EXT", help="code of your own to begin with, instead of an example"
    )
    init.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    models_file.read(options.models)  # one that cannot be built is told here
    from layer.files.project import init, left_behind
    from layer.sources.lock import lock_path

    names = init(options.folder, options.models, lock_path(options.models), options.extensions)
    printer(options).show_project(options.folder, names, left_behind(options.models))
