"""The runtime tree of a bundle's engines: wheels for the target, whatever machine packages it, trimmed."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from layer.errors import PackageError
from layer.package.trim import trim

REQUIREMENTS = Path(__file__).with_name("requirements")
# Amazon Linux 2023 has glibc 2.34. pip takes a tag literally, so every older one is listed too, newest first.
_GLIBC = (*(f"manylinux_2_{minor}" for minor in range(34, 16, -1)), "manylinux2014", "manylinux2010", "manylinux1")
_MACHINE = {"x86_64": "x86_64", "arm64": "aarch64"}


def install(engines: Iterable[str], target: dict[str, str], tree: Path, torch_index_url: str | None) -> dict[str, int]:
    """Install what the engines need at run time into `tree`, for the manifest's target, and trim it.

    Returns how many files went by each rule of the trimming.

    Raises PackageError where a wheel cannot be had, or torch came with CUDA.
    """
    _pip(
        [
            *("--target", str(tree)),
            *(part for engine in sorted(engines) for part in ("-r", str(REQUIREMENTS / f"{engine}.txt"))),
            *(("--extra-index-url", torch_index_url) if torch_index_url else ()),
        ],
        target,
    )
    if any(tree.rglob("libtorch_cuda.so")):
        raise PackageError(
            "pip took a torch with CUDA, which is useless in Lambda and ten times too large: give --torch-index-url "
            'the CPU index that pytorch.org\'s "Get started" page shows'
        )
    return trim(tree)


def _pip(arguments: Iterable[str], target: dict[str, str]) -> None:
    """Install wheels of the target, and nothing that they name: the requirements are complete."""
    machine = _MACHINE[target["architecture"]]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-compile", "--no-deps", "--only-binary=:all:"),
        *("--implementation", "cp", "--python-version", target["python"]),
        *(part for tag in _GLIBC for part in ("--platform", f"{tag}_{machine}")),
        *arguments,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise PackageError(
            f"pip found no wheels for Python {target['python']} on {machine} (layer/package/requirements): check the "
            f"network, and pip's own settings by `pip config list`:\n"
            f"{run.stderr.strip()}"
        )
