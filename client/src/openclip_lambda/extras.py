"""What the extras need that is not installed with the rest."""

import sys
from pathlib import Path


def install_command(package: str) -> str:
    """Return the command that installs a package beside this one."""
    if Path(sys.prefix, "pipx_metadata.json").exists():  # pipx's own record of an application
        return f"pipx inject openclip-lambda {package.removeprefix('--upgrade ')}"
    return f"pip install {package}"
