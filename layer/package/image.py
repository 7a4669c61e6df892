"""An image's build context: a Dockerfile, and the three trees that it copies."""

import shutil
from pathlib import Path
from typing import Any

from layer.package import base_image, bytecode, tree
from layer.package.digest import tree_sha256

TEMPLATE = Path(__file__).with_name("Dockerfile")
COMMAND = "handler.app.lambda_handler"
CHECK = "python3 -B -m handler.selfcheck"


def write_dockerfile(context: Path, python: str, command: str = COMMAND, check: str = CHECK) -> None:
    """Write the Dockerfile on the base of the target's Python, pinned by its digest.

    `command` is the function's entry point, `check` what has to succeed for an image to be made.
    Another base goes in by `--build-arg BASE=...`.
    """
    shutil.copyfile(bytecode.__file__, context / "bytecode.py")
    text = TEMPLATE.read_text(encoding="utf-8").format(
        base=base_image.base(python).pinned, command=command, check=check
    )
    (context / "Dockerfile").write_text(text, encoding="utf-8")


def row(role: str, context: Path, python: str) -> dict[str, Any]:
    """Return what package.json says of a finished context."""
    size, base = tree.size(context), base_image.base(python)
    return {
        "role": role,
        "path": context.name,
        "sha256": tree_sha256(context),
        "bytes": size,
        "unzipped_bytes": size,
        "base": {"image": base.tag, "digest": base.digest},
    }
