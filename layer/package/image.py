"""An image's build context: a Dockerfile, and the three trees that it copies."""

import shutil
from pathlib import Path
from typing import Any

from layer.package import base_image, bytecode, extension, tree
from layer.package.digest import tree_sha256

TEMPLATE = Path(__file__).with_name("Dockerfile")
COMMAND = "handler.app.lambda_handler"
CHECK = "python3 -B -m handler.selfcheck"


def write_dockerfile(context: Path, python: str, command: str = COMMAND, check: str = CHECK) -> None:
    """Write the Dockerfile on the base of the target's Python, pinned by its digest.

    `command` is the function's entry point, `check` what has to succeed for an image to be made. Code of the user's own
    goes in where the context has some.
    Another base goes in by `--build-arg BASE=...`.
    """
    shutil.copyfile(bytecode.__file__, context / "bytecode.py")
    own = (context / extension.NAME).is_dir()
    copied = {
        "copy_own": f"COPY {extension.NAME}/ {extension.STANDS_AT}/\n" if own else "",
        "compile_own": f'RUN ["python3", "/tmp/bytecode.py", "{extension.STANDS_AT}"]\n' if own else "",
        "add_own": f"COPY --from=handler {extension.STANDS_AT}/ {extension.STANDS_AT}/\n" if own else "",
    }
    told = {"base": base_image.base(python).pinned, "command": command, "check": check, **copied}
    text = TEMPLATE.read_text(encoding="utf-8").format(**told)
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
