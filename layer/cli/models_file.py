"""`--models`: read the models.toml that a command was given, or else the checkout's."""

import sys
from pathlib import Path

from layer.spec import DEFAULT_SPEC, Spec, read_spec

HERE = Path(DEFAULT_SPEC.name)


def read(path: Path) -> Spec:
    """Read models.toml, and say where another one lies in the working directory. Raises SpecError."""
    spec = read_spec(path)
    if path == DEFAULT_SPEC and HERE.is_file() and not HERE.samefile(DEFAULT_SPEC):
        print(f"note: {path} is read, and not {HERE} of this directory: for that, add --models {HERE}", file=sys.stderr)
    return spec
