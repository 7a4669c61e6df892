"""The command that installs a missing extra."""

import sys
from pathlib import Path


def install_command(package: str) -> str:
    """Return the command that installs a package into this one's environment: pip's, or pipx's if that made it."""
    if Path(sys.prefix, "pipx_metadata.json").exists():  # pipx's own record of an application
        return f"pipx inject openclip-lambda {package.removeprefix('--upgrade ')}"
    return f"pip install {package}"
