"""What the commands share: the default directories, and the choice of the module that prints the results."""

import argparse
from pathlib import Path
from typing import Any

BUNDLE = Path("build/bundle")
CACHE = Path("build/cache")


def printer(options: argparse.Namespace) -> Any:
    """Return `tables`, which prints for people, or `documents`, for programs. Both have the same functions."""
    from layer.cli import documents, tables

    return documents if options.json else tables
