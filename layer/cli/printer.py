"""What the commands share: where things are by default, and which of two modules prints the results."""

import argparse
from pathlib import Path
from typing import Any

BUNDLE = Path("build/bundle")
CACHE = Path("build/cache")


def printer(options: argparse.Namespace) -> Any:
    """Return what prints the results: tables for people or documents for programs, by the same functions."""
    from layer.cli import documents, tables

    return documents if options.json else tables
