"""The image's build context: a Dockerfile, and the three trees that it copies."""

import shutil
from pathlib import Path

from layer.package import base_image, bytecode

TEMPLATE = Path(__file__).with_name("Dockerfile")


def write_dockerfile(context: Path, python: str) -> None:
    """Write the Dockerfile on the base of the target's Python, by its digest where one is recorded.

    Another base goes in by `--build-arg BASE=...`.
    """
    shutil.copyfile(bytecode.__file__, context / "bytecode.py")
    text = TEMPLATE.read_text(encoding="utf-8").format(base=base_image.pinned(python))
    (context / "Dockerfile").write_text(text, encoding="utf-8")
