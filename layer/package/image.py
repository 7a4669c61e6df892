"""The image's build context: a Dockerfile, and the three trees that it copies."""

import shutil
from pathlib import Path

from layer.package import bytecode

TEMPLATE = Path(__file__).with_name("Dockerfile")


def write_dockerfile(context: Path, python: str) -> None:
    """Write the Dockerfile for the target's Python; another base goes in by `--build-arg BASE=...`."""
    shutil.copyfile(bytecode.__file__, context / "bytecode.py")
    text = TEMPLATE.read_text(encoding="utf-8").format(python=python)
    (context / "Dockerfile").write_text(text, encoding="utf-8")
